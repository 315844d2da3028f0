"""A colleague who may read a copy and not write it can use it; nothing in it changes."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from saco_data.doctor.shared_copy import COMMANDS
from tests.engine.test_partial_copy import with_masks
from tests.helpers.folders import tree
from tests.helpers.read_only import read_only, run_as_reader
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset


def snapshot(folder: Path) -> dict[str, str]:
    """The digest of each file, of ledger and log too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def said(text: str) -> list[str]:
    """The findings of the doctor, each in one line again."""
    return [" ".join(each.split()) for each in re.split(r"\n(?=\S)", text)]


@pytest.fixture
def copy(tmp_path: Path) -> TinySubset:
    """A copy in which one file is gone."""
    tiny = TinySubset(tmp_path / "shared")
    path = tiny.settings.subset(SUBSET).pristine
    path.write_text(json.dumps(with_masks(json.loads(path.read_bytes()))))
    tiny.holds(NAMES[:-1])
    assert tiny.prepare().code == 0
    return tiny


def test_a_reader_can_look_check_draw_report_and_evaluate(copy: TinySubset, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "found.json").write_text("[]")
    config = copy.folder / "CONFIG_FRAMES.yaml"
    before = snapshot(copy.folder)
    with read_only(copy.folder):
        for command in (
            f"status {SUBSET}",
            f"verify {SUBSET} --read-only",
            f"preview {SUBSET} --to sheets",
            f"report {SUBSET} --to page.html",
            f"eval {SUBSET}=found.json",
            f"prepare {SUBSET}",
            f"doctor {SUBSET}",
        ):
            done = run_as_reader(*command.split(), "--config", config, cwd=mine)
            assert done.returncode == 0, f"{command}: {done.stderr}"
            if command.startswith("prepare"):
                assert "complete, read-only (exit 0)" in done.stderr
            if command.startswith("doctor"):
                (line,) = [each for each in said(done.stdout) if "shared copy: " in each]
                assert line.startswith("ok") and f"{copy.folder / 'silver'} is " in line
                assert all(each in line for each in COMMANDS)
            if command.startswith("verify"):
                assert "4 verified, 0 damaged, nothing written" in done.stderr
    assert snapshot(copy.folder) == before
    assert {"sheets", "page.html", "found.json"} <= {path.name for path in mine.iterdir()}


def test_doctor_names_the_owner_of_an_incomplete_copy(tmp_path: Path) -> None:
    tiny = TinySubset(tmp_path / "shared", raw="nowhere.tar")
    tiny.prepare()
    before = snapshot(tiny.folder)
    with read_only(tiny.folder):
        words = ("doctor", SUBSET, "--json", "--config", tiny.folder / "CONFIG_FRAMES.yaml")
        done = run_as_reader(*words, cwd=tmp_path)
    assert done.returncode == 4 and done.stderr == ""
    told = json.loads(done.stdout)
    (failed,) = [each for each in told["checks"] if each["verdict"] == "fail"]
    assert failed["what"] == f"not complete: {SUBSET}" and not told["ok"]
    assert failed["remedy"] == f"Ask {tiny.folder.owner()} to run `saco prepare {SUBSET}`"
    assert snapshot(tiny.folder) == before


def test_a_damaged_file_is_named_and_left(copy: TinySubset, tmp_path: Path) -> None:
    path = copy.product(NAMES[0])
    path.write_bytes(path.read_bytes()[:-20])
    config = copy.folder / "CONFIG_FRAMES.yaml"
    before = tree(copy.folder)
    with read_only(copy.folder):
        words = ("verify", SUBSET, "--read-only", "--config", config)
        done = run_as_reader(*words, cwd=tmp_path)
    assert done.returncode == 3
    (line,) = [each for each in done.stderr.splitlines() if NAMES[0] in each]
    assert "its owner repairs it" in line and "1 damaged, nothing written" in done.stderr
    assert tree(copy.folder) == before


def test_prepare_of_an_incomplete_copy_names_the_folder(tmp_path: Path) -> None:
    tiny = TinySubset(tmp_path / "shared", raw="nowhere.tar")
    tiny.prepare()
    config = tiny.folder / "CONFIG_FRAMES.yaml"
    with read_only(tiny.folder):
        done = run_as_reader("prepare", SUBSET, "--json", "--config", config, cwd=tmp_path)
    assert done.returncode == 2
    error = json.loads(done.stdout)["error"]
    assert "cannot write" in error["what"] and ".saco" in error["item"]


def test_a_folder_that_cannot_be_entered_is_named(copy: TinySubset, tmp_path: Path) -> None:
    closed = copy.folder / "silver"
    closed.chmod(0)
    try:
        done = run_as_reader(
            "status", SUBSET, "--config", copy.folder / "CONFIG_FRAMES.yaml", cwd=tmp_path
        )
    finally:
        closed.chmod(0o755)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    assert "silver_path" in line and "cannot be entered. Choose another folder, or make" in line
