"""`saco eval` of folders of masks: J&F."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saco_data.evaluation.jf import evaluate_folders
from tests.conftest import ROOT, Saco


def write_mask(path: Path, left: int) -> None:
    mask = np.zeros((60, 80), np.uint8)
    mask[10:40, left : left + 30] = 255
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    truth, predicted = (tmp_path_factory.mktemp(name) for name in ("truth", "predicted"))
    for video in ("a", "b"):
        for frame in range(5):
            write_mask(truth / video / "000" / f"{frame:05d}.png", 10)
            write_mask(predicted / video / "000" / f"{frame:05d}.png", 10 + frame)
    return truth, predicted


def test_two_folders_are_compared_by_jf(folders: tuple[Path, Path], saco: Saco) -> None:
    truth, predicted = folders
    expected = evaluate_folders(truth, predicted)
    done = saco("eval", predicted, "--gt", truth, "--json", cwd=truth.parent)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    (block,) = content["subsets"].values()
    assert content["version"] == 1 and block["official"] == expected.official
    assert set(block["objects"]) == {"a", "b"}
    page = (ROOT / "docs" / "jf.md").read_text()
    assert set(block) == set(json.loads(page.partition("```json\n")[2].partition("```")[0]))
    text = saco("eval", predicted, "--gt", truth, cwd=truth.parent).stdout
    assert "2 of 2 videos" in text


def test_first_and_last_frame_count_on_request(folders: tuple[Path, Path], saco: Saco) -> None:
    truth, predicted = folders
    flag = "--do-not-skip-first-and-last-frame"
    done = saco("eval", predicted, "--gt", truth, flag, "--json", cwd=truth.parent)
    (block,) = json.loads(done.stdout)["subsets"].values()
    expected = evaluate_folders(truth, predicted, skip_first_and_last=False)
    assert block["official"] == expected.official != evaluate_folders(truth, predicted).official


def test_faults_are_exit_2_and_named(
    folders: tuple[Path, Path], saco: Saco, tmp_path: Path
) -> None:
    truth, predicted = folders
    write_mask(tmp_path / "a" / "000" / "00000.png", 10)
    done = saco("eval", tmp_path, "--gt", truth, "--metric", "jf", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]
    told = saco("eval", predicted / "a", "--metric", "jf", cwd=tmp_path)
    assert told.returncode == 2 and "GROUND_TRUTH_FOLDER" in told.stderr


def test_what_is_left_out_or_not_understood_is_said(
    folders: tuple[Path, Path], saco: Saco, tmp_path: Path
) -> None:
    truth, predicted = (shutil.copytree(each, tmp_path / each.name) for each in folders)
    write_mask(predicted / "z" / "000" / "00000.png", 10)
    (truth / "a" / "000" / ".DS_Store").write_text("")
    for frame in range(5):
        write_mask(truth / "b" / "001" / f"{frame:05d}.png", 90)
        write_mask(predicted / "b" / "001" / f"{frame:05d}.png", 90)
    told = saco("eval", predicted, "--gt", truth, cwd=tmp_path)
    assert told.returncode == 0 and told.stdout.startswith("J&F ")
    only, stray, empty = told.stderr.splitlines()
    assert "videos that are only in the predictions: 1 (z)" in only
    assert "left out: 1 (a/000/.DS_Store)" in stray
    assert "b/001 is in no counted frame of the ground truth" in empty
    (predicted / "a" / "000").rename(predicted / "a" / "0")
    frames = predicted / "b" / "000"
    (frames / "00001.png").rename(frames / "1.png")
    (frames / "00002.png").write_bytes((frames / "00002.png").read_bytes()[:40])
    (frames / "00003.png").write_bytes((frames / "00003.png").read_bytes()[:40])
    told = saco("eval", predicted, "--gt", truth, cwd=tmp_path)
    assert told.returncode == 2
    assert "    a/000 (there is 0, which the ground truth does not have)" in told.stderr
    assert "    b/000/00001.png (there is 1.png, which the ground truth does" in told.stderr
    shutil.rmtree(predicted / "a")
    (frames / "1.png").rename(frames / "00001.png")
    told = saco("eval", predicted, "--gt", truth, "--partial", cwd=tmp_path)
    assert "  cannot be decoded (cut, or not a PNG): 2\n" in told.stderr
