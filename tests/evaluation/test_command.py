"""`saco eval` as users run it, the drop-in, and the Python API."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import saco_data as saco_api
from saco_data.evaluation.cgf1 import NAMES
from saco_data.model.errors import UsageError
from tests.conftest import ROOT, Saco
from tests.evaluation.made import some, write


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    content, found = some(2, count=40)
    return write(tmp_path / "gt.json", content), write(tmp_path / "found.json", found)


def test_a_ground_truth_stands_alone(tmp_path: Path, saco: Saco, files: tuple[Path, Path]) -> None:
    gt, found = files
    done = saco("eval", found, "--gt", gt, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "on 40 of 40 image-NPs" in done.stdout
    shown = json.loads(saco("eval", found, "--gt", gt, "--json", cwd=tmp_path).stdout)
    subset = shown["subsets"]["gt"]
    assert list(subset["official"]) == [f"cgF1_eval_segm_{name}" for name in NAMES]
    assert subset["coverage"]["image_nps"] == [40, 40] and len(subset["gt_sha256"]) == 64
    assert set(subset["interval_95"]) == {"cgF1", "IL_MCC", "pmF1"}
    assert shown["average"]["subsets"] == 1 and len(subset["counts"]["tp"]) == 10
    gold = saco("eval", found, "--gt", gt, "--gt", gt, "--gt", gt, "--json", cwd=tmp_path)
    assert json.loads(gold.stdout)["subsets"]["gt"]["official"] == subset["official"]


def test_errors_are_exit_2_and_one_object_with_json(
    tmp_path: Path, saco: Saco, files: tuple[Path, Path]
) -> None:
    gt, found = files
    entries = json.loads(found.read_text())
    entries[3]["segmentation"]["counts"] = "1"
    write(found, entries)
    for verb in ([], ["check"]):
        done = saco("eval", *verb, found, "--gt", gt, cwd=tmp_path)
        assert done.returncode == 2 and "entry 3" in done.stderr and "Traceback" not in done.stderr
        done = saco("eval", *verb, found, "--gt", gt, "--json", cwd=tmp_path)
        error = json.loads(done.stdout)["error"]
        assert done.returncode == 2
        assert error["findings"][0]["first"][0]["position"] == 3
    done = saco("eval", "check", found, "--gt", gt, "--lenient", cwd=tmp_path)
    assert done.returncode == 0 and "can be counted" in done.stdout


def test_compare_takes_predictions_and_results(
    tmp_path: Path, saco: Saco, files: tuple[Path, Path]
) -> None:
    gt, found = files
    other = write(tmp_path / "other.json", json.loads(found.read_text())[::2])
    to = tmp_path / "a.result.json"
    assert saco("eval", found, "--gt", gt, "--to", to, cwd=tmp_path).returncode == 0
    done = saco("eval", "compare", to, other, "--gt", gt, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    compared = json.loads(done.stdout)["subsets"]["gt"]
    assert compared["losses"] > 0 and compared["image_nps"] == [40, 40]
    content, _ = some(2, count=41)
    write(gt, content)
    refused = saco("eval", "compare", to, other, "--gt", gt, cwd=tmp_path)
    assert refused.returncode == 2 and "different ground truths" in refused.stderr


def prepared(folder: Path, subset: str, file: str) -> list[dict[str, Any]]:
    """A config and the downloaded annotations of a subset; returns predictions for it."""
    (folder / "CONFIG_FRAMES.yaml").write_text("silver_path: silver\npath_annotations: original\n")
    content, found = some(31, count=30)
    (folder / "original").mkdir()
    write(folder / "original" / file, content)
    partial = folder / "silver" / "annotations_partial"
    partial.mkdir(parents=True)
    content["images"] = content["images"][:-2]
    write(partial / file, content)
    return found


def test_a_prepared_copy_that_is_not_complete(tmp_path: Path, saco: Saco) -> None:
    file = "silver_nga_art_merged_test.json"
    found = prepared(tmp_path, "nga", file)
    dumps = tmp_path / "run" / "silver_nga_art" / "dumps" / "silver_nga_art"
    dumps.mkdir(parents=True)
    write(dumps / "coco_predictions_segm.json", found)
    plain = write(tmp_path / "mine.json", found)
    by_folder = saco("eval", "run", "--json", cwd=tmp_path)
    by_name = saco("eval", f"NGA={plain}", "--json", cwd=tmp_path)
    by_option = saco("eval", plain, "--subset", "nga", "--json", cwd=tmp_path)
    shown = json.loads(by_folder.stdout)["subsets"]["nga"]
    for other in (by_name, by_option):
        assert json.loads(other.stdout)["subsets"]["nga"]["official"] == shown["official"]
    assert shown["coverage"] == {**shown["coverage"], "image_nps": [28, 30], "published": 22221}
    assert set(shown["views"]) == {"as_official", "here", "worst", "best"}
    text = saco("eval", "run", "--partial", cwd=tmp_path).stdout
    assert "28 of 22,221 image-NPs" in text and "not comparable" in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mine.json"], "does not say which subset"),
        (["nag=mine.json"], "Did you mean 'nga'"),
        (["none.json"], "no such file"),
        (["silver"], "no predictions of a subset"),
        (["compare", "mine.json"], "needs two predictions"),
        (["nga=mine.json", "silver_nga_art=mine.json"], "several predictions are of nga"),
        (["geode=mine.json"], "annotation file is missing"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, saco: Saco, words: list[str], said: str) -> None:
    write(tmp_path / "mine.json", prepared(tmp_path, "nga", "silver_nga_art_merged_test.json"))
    done = saco("eval", *words, cwd=tmp_path)
    assert done.returncode in (2, 4) and said in done.stderr and "Traceback" not in done.stderr


def test_the_name_of_the_ground_truth_says_the_subset(tmp_path: Path, saco: Saco) -> None:
    content, found = some(2, count=40)
    gt = write(tmp_path / "silver_nga_art_merged_test.json", content)
    geode = write(tmp_path / "geode.json", found)
    done = saco("eval", geode, "--gt", gt, "--json", cwd=tmp_path)
    assert list(json.loads(done.stdout)["subsets"]) == ["nga"]
    both = saco("eval", geode, write(tmp_path / "nga.json", found), "--gt", gt, cwd=tmp_path)
    assert both.returncode == 2 and "several predictions are of nga" in both.stderr


def test_ids_of_another_subset_are_told(tmp_path: Path, saco: Saco) -> None:
    found = prepared(tmp_path, "nga", "silver_nga_art_merged_test.json")
    content, _ = some(1)
    for each in content["images"]:
        each["id"] += 5000
    content["annotations"] = []
    write(tmp_path / "original" / "silver_sav_merged_test.json", content)
    for each in found:
        each["image_id"] = 5010
    done = saco("eval", f"nga={write(tmp_path / 'p.json', found)}", cwd=tmp_path)
    assert "The first ones are ids of sav" in done.stdout


def test_the_drop_in_ends_with_the_dictionary(tmp_path: Path, files: tuple[Path, Path]) -> None:
    gt, found = files
    done = subprocess.run(
        [sys.executable, ROOT / "standalone_cgf1.py", "--pred_file", found, "--gt_files", gt],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    last = ast.literal_eval(done.stdout.splitlines()[-1])
    assert list(last) == [f"cgF1_eval_segm_{name}" for name in NAMES]
    result = saco_api.evaluate(found, gt)
    assert result.subsets["gt"].official == last


def test_from_a_copy_to_a_number(tmp_path: Path) -> None:
    content, _ = some(2, count=20)
    (tmp_path / "annotations").mkdir()
    write(tmp_path / "annotations" / "silver_nga_art_merged_test.json", content)
    subset = saco_api.load(tmp_path)["nga"]
    path = tmp_path / "mine.json"
    with saco_api.Predictions(path) as out:
        for item in subset:
            if item.is_negative:
                out.nothing(item)
            else:
                out.add(item, item.masks, [0.999996] * len(item.masks))
    result = saco_api.evaluate(path, subset)
    counts = result.subsets["nga"].counts
    assert counts["fp"] == counts["fn"] == [0] * 10
    assert result.subsets["nga"].headline["pmF1"] > 0.999
    assert "on 20 of 22,221 image-NPs" in str(result)
    written = json.loads(path.read_text())
    assert written[0]["score"] == 1.0
    assert written[0]["bbox"] == [round(each, 5) for each in written[0]["bbox"]]
    assert max(max(each["bbox"]) for each in written) <= 1
    ran = json.loads(path.with_name("mine.json.ran.json").read_text())
    assert ran["image_ids"] == [item.id for item in subset]


def test_predictions_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    content, _ = some(2, count=20)
    (tmp_path / "annotations").mkdir()
    write(tmp_path / "annotations" / "silver_nga_art_merged_test.json", content)
    item, second = saco_api.load(tmp_path)["nga"][:2]
    path = tmp_path / "mine.json"
    mask = np.ones((1, item.height, item.width), bool)
    for masks, scores, said in (
        (mask, [0.5, 0.6], "the masks have the shape"),
        (mask, [90], "not from 0 to 1"),
        (mask[:, :-1], [0.5], "the masks have the shape"),
        (mask * np.float32(0.3), [0.5], "hold fractions such as probabilities"),
    ):
        with pytest.raises(UsageError, match=said), saco_api.Predictions(path) as out:
            out.nothing(second)
            out.add(item, masks, scores)
    with pytest.raises(UsageError, match="added before"), saco_api.Predictions(path) as out:
        out.nothing(item)
        out.add(item, mask, [0.5])
    with pytest.raises(UsageError, match="not open"):
        saco_api.Predictions(path).nothing(item)
    assert {each.name for each in tmp_path.iterdir()} <= {"annotations", "cache"}
    with saco_api.Predictions(path) as out:
        out.nothing(item)
    assert json.loads(path.read_text()) == []


def test_masks_as_numbers_are_above_0(tmp_path: Path) -> None:
    content, _ = some(2, count=20)
    (tmp_path / "annotations").mkdir()
    write(tmp_path / "annotations" / "silver_nga_art_merged_test.json", content)
    item = saco_api.load(tmp_path)["nga"][0]
    mask = np.zeros((1, item.height, item.width), bool)
    mask[0, 2:5, 3:7] = True
    written = []
    for masks in (mask, mask.astype(np.float32), mask * np.uint8(255), np.where(mask, 0.4, -7.0)):
        with saco_api.Predictions(tmp_path / "mine.json") as out:
            out.add(item, masks, [0.5])
        written.append((tmp_path / "mine.json").read_bytes())
    assert len(set(written)) == 1 and b'"area": 0.0625' in written[0]
