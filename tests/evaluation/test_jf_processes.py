"""J&F counted by several processes, and the drop-in script."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saco_data.evaluation.jf import evaluate_folders
from saco_data.executors.local import LocalExecutor
from saco_data.model.faults import FaultsFound
from tests.conftest import ROOT
from tests.evaluation.test_jf import CASES, laid_out

VIDEOS, TURNS = 30, 5
FRAMES = VIDEOS * 4 * (6 * TURNS - 2)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders large enough to be shared out: the frames of one case, over and over."""
    folder = tmp_path_factory.mktemp("many")
    case = CASES["sav_random_1"]
    copied: dict[str, Any] = {"empty": {"gt": [], "pred": []}, "gt": {}, "pred": {}}
    for side in ("gt", "pred"):
        for number in range(VIDEOS):
            for name, content in case[side].items():
                video, each, frame = name.split("/")
                for turn in range(TURNS):
                    later = f"{int(frame[:5]) + 100 * turn:05d}.png"
                    copied[side][f"{video}_{number:02d}/{each}/{later}"] = content
    return laid_out(copied, folder)


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    running = LocalExecutor(2)
    yield running
    running.close()


def test_processes_give_the_same_result(many: tuple[Path, Path], executor: LocalExecutor) -> None:
    seen: list[tuple[int, int]] = []
    shared = evaluate_folders(*many, executor=executor, progress=lambda *each: seen.append(each))
    assert len(seen) > 2  # it was shared out
    assert seen[-1] == (FRAMES, FRAMES)
    assert shared == evaluate_folders(*many)


def test_faults_come_from_all_processes(many: tuple[Path, Path], executor: LocalExecutor) -> None:
    names = ["sav_000000_00/000/00004.png", "sav_000001_29/001/00208.png"]
    before = {name: (many[1] / name).read_bytes() for name in names}
    try:
        for name in names:
            (many[1] / name).write_bytes(before[name][:50])
        with pytest.raises(FaultsFound) as caught:
            evaluate_folders(*many, executor=executor)
    finally:
        for name, content in before.items():
            (many[1] / name).write_bytes(content)
    assert [each.where for each in caught.value.faults] == [f"prediction {name}" for name in names]


def script(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "sav_evaluator.py"), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_script_has_the_official_flags(tmp_path: Path) -> None:
    truth, prediction = laid_out(CASES["sav_random_1"], tmp_path)
    done = script("--gt_root", truth, "--pred_root", prediction, "-n", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Global score: J&F: 55.6 J: 57.6 F: 53.6" in done.stdout
    assert "on 2 of 2 videos" in done.stdout
    table = tmp_path / "pred_results.csv"
    assert table.read_text() == CASES["sav_random_1"]["official"]["csv"]
    assert not list(prediction.rglob("*.csv"))


def test_the_script_is_quiet_and_writes_where_it_is_told(tmp_path: Path) -> None:
    laid_out(CASES["two_frames_all"], tmp_path)
    arguments = ["--gt_root", "gt", "--pred_root", "pred", "-q", "-s"]
    arguments += ["--do_not_skip_first_and_last_frame", "--results", "pred/results.csv"]
    done = script(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Saving the results to pred/results.csv\n"
    assert "v1          ,000, 65.5, 77.6, 53.3" in (tmp_path / "pred/results.csv").read_text()


def test_the_script_refuses_missing_videos_unless_partial(tmp_path: Path) -> None:
    laid_out(CASES["missing_video"], tmp_path)
    arguments = ["--gt_root", "gt", "--pred_root", "pred"]
    refused = script(*arguments, cwd=tmp_path)
    assert refused.returncode == 2
    assert "video without predictions: 1\n    sav_000001" in refused.stderr
    assert "Traceback" not in refused.stderr
    allowed = script(*arguments, "--partial", cwd=tmp_path)
    assert allowed.returncode == 0
    assert "on 1 of 2 videos" in allowed.stdout
    assert "videos without predictions: 1 (sav_000001)" in allowed.stderr
