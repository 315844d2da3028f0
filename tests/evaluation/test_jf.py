"""J&F of folders: the numbers of the official evaluator, and what it dies of named."""

from __future__ import annotations

import base64
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from saco_data.evaluation.jf import evaluate_folders
from saco_data.model.errors import UsageError
from saco_data.model.faults import FaultsFound
from tests.conftest import ROOT

GOLDEN = json.loads(lzma.decompress((ROOT / "tests/data/jf_golden.json.xz").read_bytes()))
CASES = {case["name"]: case for case in GOLDEN["cases"]}
WITH_NUMBERS = [name for name, case in CASES.items() if "JF" in case["official"]]

# What the official evaluator ends on without a number, and what is said instead.
FAULTS = {
    "gt_empty_everywhere_evaluated": "no object of the ground truth is in a frame that counts",
    "gt_empty_everywhere_pred_empty": "no object of the ground truth is in a frame that counts",
    "two_frames_only": "no object of the ground truth is in a frame that counts",
    "one_frame_only": "no object of the ground truth is in a frame that counts",
    "predicted_frame_missing_inside": "no such frame in the predictions",
    "size_differs": "wrong size",
    "size_swapped": "40 x 56, not 56 x 40",
    "missing_object": "no folder in the predictions",
    "two_objects_in_one_png": "holds several objects",
    "rgb": "has colour",
    "rgb_both": "has colour",
    "pred_other_layout": "there are label maps instead",
    "file_not_image": "is not a PNG",
    "missing_video_strict": "video without predictions",
}


def laid_out(case: dict[str, Any], folder: Path) -> tuple[Path, Path]:
    """The files of a golden case: ground truth and predictions."""
    for side in ("gt", "pred"):
        (folder / side).mkdir()
        for name in case["empty"][side]:
            (folder / side / name).mkdir(parents=True)
        for name, number in case[side].items():
            path = folder / side / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(GOLDEN["pool"][number]))
    return folder / "gt", folder / "pred"


def evaluated(name: str, folder: Path, **changed: Any) -> Any:
    case = CASES[name]
    keys = dict(case["kw"])
    strict = keys.pop("strict", False)
    keys = {"skip_first_and_last": keys.pop("skip_first_and_last", True), **keys}
    keys = {**keys, "strict": strict, "partial": not strict, **changed}
    return evaluate_folders(*laid_out(case, folder), **keys)


def test_there_are_all_golden_cases() -> None:
    assert len(CASES) == 58
    without = set(CASES) - set(WITH_NUMBERS) - set(FAULTS)
    assert without == {"empty_object_folder"}


@pytest.mark.parametrize("name", WITH_NUMBERS)
def test_numbers_are_those_of_the_official_evaluator(name: str, tmp_path: Path) -> None:
    result, official = evaluated(name, tmp_path), CASES[name]["official"]
    for key, value in result.official.items():
        assert value == pytest.approx(official[key], abs=1e-9)
    assert result.objects.keys() == official["objects"].keys()
    for video, objects in official["objects"].items():
        assert result.objects[video].keys() == objects.keys()
        for each, numbers in objects.items():
            assert result.objects[video][each] == pytest.approx(numbers, abs=1e-9)
    if "csv" in official:
        assert result.as_csv() == official["csv"]


@pytest.mark.parametrize("name", FAULTS)
def test_what_the_official_evaluator_ends_on_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=FAULTS[name]) as caught:
        evaluated(name, tmp_path)
    assert caught.value.exit_code == 2


def test_an_empty_object_keeps_a_line_of_its_own(tmp_path: Path) -> None:
    result = evaluated("empty_object_folder", tmp_path)
    assert [(each.video, each.object, each.frames) for each in result.empty] == [("v1", "001", 0)]
    assert result.coverage["objects"] == [1, 2]
    assert "v1          ,001,  nan,  nan,  nan\n" in result.as_csv()
    assert "1 of 2 objects" in str(result)
    json.dumps(result.as_json(), allow_nan=False)


def test_an_object_that_is_only_predicted_is_reported_without_a_number(tmp_path: Path) -> None:
    case = CASES["gt_empty_everywhere_evaluated"]
    other = CASES["shifted"]
    both = {
        **case,
        "gt": case["gt"] | {name.replace("000", "001", 1): n for name, n in other["gt"].items()},
        "pred": case["pred"]
        | {name.replace("000", "001", 1): n for name, n in other["pred"].items()},
    }
    result = evaluate_folders(*laid_out(both, tmp_path))
    assert [(each.object, each.predicted) for each in result.empty] == [("000", 1)]
    assert result.objects == other["official"]["objects"] | {
        "v1": {"001": pytest.approx(other["official"]["objects"]["v1"]["000"])}
    }


def test_a_video_without_predictions_is_an_error_unless_partial(tmp_path: Path) -> None:
    truth, prediction = laid_out(CASES["missing_video"], tmp_path)
    with pytest.raises(FaultsFound, match="video without predictions") as caught:
        evaluate_folders(truth, prediction)
    assert "--partial" in caught.value.remedy
    result = evaluate_folders(truth, prediction, partial=True)
    assert result.coverage["videos"] == [1, 2]
    assert "on 1 of 2 videos" in str(result)
    assert "videos without predictions: 1 (sav_000001)" in result.notes


def test_videos_that_are_only_predicted_are_refused_when_strict(tmp_path: Path) -> None:
    truth, prediction = laid_out(CASES["same"], tmp_path)
    (prediction / "other").mkdir()
    assert "videos that are only in the predictions: 1 (other)" in (
        evaluate_folders(truth, prediction).notes
    )
    with pytest.raises(FaultsFound, match="the ground truth does not have"):
        evaluate_folders(truth, prediction, strict=True)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    truth, prediction = laid_out(CASES["sav_random_1"], tmp_path)
    (prediction / "sav_000000/000/00004.png").unlink()
    (prediction / "sav_000000/001/00008.png").write_bytes(b"no picture")
    for path in (prediction / "sav_000001/001").iterdir():
        path.unlink()
    (prediction / "sav_000001/001").rmdir()
    with pytest.raises(FaultsFound) as caught:
        evaluate_folders(truth, prediction)
    assert [(each.kind, each.where) for each in caught.value.faults] == [
        ("no such frame in the predictions", "sav_000000/000/00004.png"),
        ("is not a PNG", "prediction sav_000000/001/00008.png"),
        ("no folder in the predictions", "sav_000001/001"),
    ]
    for fault in caught.value.faults:
        assert fault.where in str(caught.value)


def test_faults_that_only_decoding_shows_are_collected_too(tmp_path: Path) -> None:
    truth, prediction = laid_out(CASES["sav_random_1"], tmp_path)
    names = ["sav_000000/000/00004.png", "sav_000001/001/00008.png"]
    for name in names:
        content = (prediction / name).read_bytes()
        (prediction / name).write_bytes(content[: content.index(b"IDAT") + 6])
    with pytest.raises(FaultsFound) as caught:
        evaluate_folders(truth, prediction)
    assert [each.where for each in caught.value.faults] == [f"prediction {name}" for name in names]


def test_a_stray_file_is_left_out_and_named(tmp_path: Path) -> None:
    truth, prediction = laid_out(CASES["sav_random_1"], tmp_path)
    clean = evaluate_folders(truth, prediction)
    (truth / "sav_000000/000/.DS_Store").write_bytes(b"x")
    (truth / "sav_000000/notes.txt").write_bytes(b"x")
    (truth / "sav_val.txt").write_bytes(b"x")
    result = evaluate_folders(truth, prediction)
    assert result.objects == clean.objects
    (note,) = result.notes
    assert "2 (sav_000000/000/.DS_Store, sav_000000/notes.txt)" in note


def test_label_maps_beside_folders_of_objects_are_refused(tmp_path: Path) -> None:
    truth, prediction = laid_out(CASES["same"], tmp_path)
    (truth / "v1/00000.png").write_bytes((truth / "v1/000/00000.png").read_bytes())
    with pytest.raises(FaultsFound, match="label maps and folders of objects"):
        evaluate_folders(truth, prediction)


def test_the_folder_above_the_masks_is_understood(tmp_path: Path) -> None:
    truth, prediction = laid_out(CASES["shifted"], tmp_path)
    expected = evaluate_folders(truth, prediction).objects
    release = tmp_path / "sav_val"
    release.mkdir()
    truth.rename(release / "Annotations_6fps")
    assert evaluate_folders(release, prediction).objects == expected


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    truth, _ = laid_out(CASES["same"], tmp_path)
    with pytest.raises(UsageError, match=r"nowhere: is not a folder"):
        evaluate_folders(truth, tmp_path / "nowhere")


def test_folders_without_a_common_video_are_refused(tmp_path: Path) -> None:
    truth, prediction = laid_out(CASES["same"], tmp_path)
    (prediction / "v1").rename(prediction / "v2")
    for partial in (True, False):
        with pytest.raises(UsageError, match="has none of the 1 videos"):
            evaluate_folders(str(truth), str(prediction), partial=partial)


def test_the_interval_is_over_videos(tmp_path: Path) -> None:
    result = evaluated("davis_random_1", tmp_path)
    interval = result.interval
    assert result.interval == interval  # the same each time
    means = [
        sum(j for j, _ in objects.values()) / len(objects) for objects in result.objects.values()
    ]
    # Two videos: a sample is twice the one, twice the other, or both.
    assert interval["J"] == pytest.approx([min(means), max(means)])
    assert interval["JF"][0] < result.official["JF"] < interval["JF"][1]


def test_one_video_has_no_interval(tmp_path: Path) -> None:
    assert evaluated("same", tmp_path).interval is None


def test_progress_ends_with_all_frames(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    evaluated("sav_random_1", tmp_path, progress=lambda *each: seen.append(each))
    assert seen[-1] == (16, 16)
