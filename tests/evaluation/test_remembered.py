"""An unchanged evaluation is remembered; a changed file or option is not mistaken for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from saco_data.evaluation import computing, remembered
from saco_data.evaluation.files import Options, Task, evaluate_one
from tests.evaluation.made import some, write


def old(path: Path) -> Path:
    """The file with a time that is not of just now: only such files are remembered."""
    os.utime(path, (path.stat().st_mtime - 60,) * 2)
    return path


def test_what_is_unchanged_is_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, found = some(3)
    gt, pred = old(write(tmp_path / "gt.json", content)), old(write(tmp_path / "p.json", found))
    task = Task("x", pred, (gt,))
    first = evaluate_one(task, Options())
    calls: list[tuple[Any, ...]] = []
    real = computing.compute

    def compute(*each: Any) -> Any:
        calls.append(each)
        return real(*each)

    monkeypatch.setattr(computing, "compute", compute)
    assert evaluate_one(task, Options()) == first and not calls
    assert evaluate_one(task, Options(lenient=True)).official == first.official
    old(write(pred, found[1:]))
    assert evaluate_one(task, Options()).entries == len(found) - 1
    assert len(calls) == 2


def test_the_check_of_a_ground_truth_is_remembered_by_content(tmp_path: Path) -> None:
    content, found = some(3)
    gt, pred = old(write(tmp_path / "gt.json", content)), old(write(tmp_path / "p.json", found))
    first = evaluate_one(Task("x", pred, (gt,)), Options())
    (sha,) = first.gt_sha256
    assert remembered.sha256_of(gt) == sha
    assert remembered.is_checked(sha, "segm") and not remembered.is_checked(sha, "bbox")
    assert not remembered.is_checked("", "segm")


def test_files_of_just_now_are_not_remembered(tmp_path: Path) -> None:
    content, found = some(3)
    gt, pred = write(tmp_path / "gt.json", content), write(tmp_path / "p.json", found)
    evaluate_one(Task("x", pred, (gt,)), Options())
    assert not (remembered.folder() / "results").exists()


def test_a_damaged_memory_is_made_again(tmp_path: Path) -> None:
    content, found = some(3)
    gt, pred = old(write(tmp_path / "gt.json", content)), old(write(tmp_path / "p.json", found))
    first = evaluate_one(Task("x", pred, (gt,)), Options())
    (kept,) = (remembered.folder() / "results").iterdir()
    kept.write_bytes(b"\x01")
    assert evaluate_one(Task("x", pred, (gt,)), Options()) == first
