"""`saco eval` of folders of masks: J&F."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saco_data.evaluation.jf import evaluate_folders
from tests.conftest import Saco


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
