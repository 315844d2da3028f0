"""What is found in a prediction file: grouped, with places, errors apart from warnings."""

from __future__ import annotations

import gzip
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saco_data.evaluation.files import Options, Task, check_one, evaluate_one
from saco_data.evaluation.findings import PredictionError
from tests.evaluation.made import HEIGHT, WIDTH, entry, truth, write
from tests.helpers.rle import encode

MASK = np.zeros((HEIGHT, WIDTH), bool)
MASK[2:6, 3:9] = True
OTHER = ~MASK
TRUTH = truth({10: [MASK], 11: [MASK, OTHER], 12: [], 13: []})
SWAPPED = {"size": [WIDTH, HEIGHT], "counts": entry(10, MASK)["segmentation"]["counts"]}


def run(folder: Path, found: Any, **how: Any) -> Any:
    gt, pred = write(folder / "gt.json", TRUTH), write(folder / "pred.json", found)
    return evaluate_one(Task("x", pred, (gt,)), Options(samples=0, remember=False, **how))


def test_all_errors_are_found_at_once_the_first_five_of_each(tmp_path: Path) -> None:
    broken = {"size": [HEIGHT, WIDTH], "counts": "1"}
    found: list[Any] = [entry(10, MASK)]
    found += [entry(11, MASK, segmentation=broken) for _ in range(7)]
    found += [{**entry(12, MASK), "score": "0.9"}, "text", {"image_id": 13}, entry(99, MASK)]
    with pytest.raises(PredictionError) as caught:
        run(tmp_path, found)
    by_kind = {each.kind: each for each in caught.value.findings}
    assert list(by_kind) == [
        "not_an_object",
        "no_category",
        "no_score",
        "broken_rle",
        "unknown_image",
    ]
    assert by_kind["broken_rle"].count == 7
    assert by_kind["broken_rle"].first == [(at, 11) for at in range(1, 6)]
    assert by_kind["no_score"].first == [(8, 12)]
    assert "7 entries" in str(caught.value) and caught.value.exit_code == 2
    result = run(tmp_path, found, lenient=True)
    assert result.dropped == 10 and "10 entries were dropped" in result.notes[-1]
    assert result.counts["il"] == [1, 0, 2, 1]


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"image_id": 77}, "unknown_image"),
        ({"category_id": 5}, "unknown_category"),
        ({"score": 90}, "large_score"),
        ({"score": float("nan")}, "nan_score"),
        ({"segmentation": SWAPPED}, "size_swapped"),
        ({"segmentation": {"size": [4, 4], "counts": "88"}}, "size_differs"),
        ({"segmentation": {"size": [HEIGHT, WIDTH], "counts": ""}}, "empty_mask"),
        ({"segmentation": encode(np.zeros((HEIGHT, WIDTH), bool))}, "empty_mask"),
        ({"segmentation": [[0, 0, 1, 0, 0, 1, 0, 0]]}, "empty_mask"),
        ({"segmentation": MASK.astype(int).tolist()}, "matrix"),
    ],
)
def test_what_is_taken_in_silence_elsewhere_is_a_warning(
    tmp_path: Path, change: dict[str, Any], kind: str
) -> None:
    gt = write(tmp_path / "gt.json", TRUTH)
    pred = write(tmp_path / "pred.json", [entry(11, OTHER), {**entry(10, MASK), **change}])
    (warning,) = check_one(Task("x", pred, (gt,)), Options(remember=False))
    assert (warning.kind, warning.count, warning.first[0][0]) == (kind, 1, 1)
    assert not warning.is_error and warning.in_words()


@pytest.mark.parametrize("found", [{"image_id": "10"}, {"image_id": "x"}, {"image_id": "40"}])
def test_an_id_as_text_is_an_error_that_names_the_subset(
    tmp_path: Path, found: dict[str, str]
) -> None:
    gt = write(tmp_path / "gt.json", TRUTH)
    pred = write(tmp_path / "pred.json", [found])

    def owner(ids: list[Any]) -> str:
        return "The first ones are ids of nga" if 40 in ids else ""

    with pytest.raises(PredictionError) as caught:
        check_one(Task("x", pred, (gt,)), Options(remember=False), owner)
    (error,) = caught.value.findings
    assert (error.kind, error.first) == ("text_id", [(0, found["image_id"])])
    assert ("ids of nga" in str(caught.value)) is (found["image_id"] == "40")
    assert caught.value.exit_code == 2


def test_duplicates_are_named(tmp_path: Path) -> None:
    result = run(tmp_path, [entry(10, MASK), entry(10, OTHER), entry(10, MASK)])
    assert [(each.kind, each.first) for each in result.findings] == [("duplicate", [(2, 10)])]


def test_boxes_in_pixels_count_nothing_unless_lenient(tmp_path: Path) -> None:
    box = [3.0, 2.0, 6.0, 4.0]
    found = [entry(10, MASK, bbox=box)]
    strict = run(tmp_path, found, iou_type="bbox")
    assert strict.counts["tp"] == [0] * 10 and strict.findings[0].kind == "pixel_box"
    lenient = run(tmp_path, found, iou_type="bbox", lenient=True)
    assert lenient.counts["tp"] == [1] * 10
    assert lenient.findings[0].kind == "pixel_box_converted"
    assert "cgF1_eval_bbox_cgF1" in lenient.official


def test_boxes_are_made_of_masks_if_lenient(tmp_path: Path) -> None:
    found = [{k: v for k, v in entry(10, MASK).items() if k != "bbox"}]
    assert run(tmp_path, found, iou_type="bbox").findings[0].kind == "box_of_mask"
    lenient = run(tmp_path, found, iou_type="bbox", lenient=True)
    assert lenient.counts["tp"] == [1] * 10


def test_unusual_entries_late_in_a_large_file_have_their_position(tmp_path: Path) -> None:
    found: list[Any] = [entry(10, MASK, score=0.1) for _ in range(9000)]
    found[8765] = {**entry(11, MASK), "score": None}
    with pytest.raises(PredictionError, match=r"entry 8765 \(image id 11\)"):
        run(tmp_path, found)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    gt = write(tmp_path / "gt.json", TRUTH)
    with pytest.raises(PredictionError, match="cannot be read"):
        evaluate_one(Task("x", tmp_path / "none.json", (gt,)), Options(remember=False))


def test_huge_sizes_are_refused(tmp_path: Path) -> None:
    for side in (1 << 20, 1 << 40, -4):
        segmentation = {"size": [side, side], "counts": "44"}
        with pytest.raises(PredictionError, match="not that of a picture"):
            run(tmp_path, [entry(10, MASK, segmentation=segmentation)])


def test_a_file_of_which_nothing_counts_is_a_warning(tmp_path: Path) -> None:
    (empty,) = run(tmp_path, []).findings
    assert empty.in_words() == (
        "0 entries: the file is an empty list: all counts as not found. Did the model run?"
    )
    low = [entry(10, MASK, score=-1.5), entry(11, MASK, score=0.49)]
    (warning,) = run(tmp_path, low).findings
    assert (warning.kind, warning.count) == ("low_scores", 2)
    assert warning.in_words().startswith("2 entries: all have a score below 0.5, and none counts. ")
    assert not run(tmp_path, [*low, entry(12, MASK, score=0.5)]).findings


ENTRY = json.dumps(entry(10, MASK)).encode()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty. Write the file again"),
        (b" \n", "is empty"),
        (gzip.compress(b"[" + ENTRY + b"]"), "is compressed (gzip). Unpack it with `gzip -d`"),
        (ENTRY + b"\n" + ENTRY + b"\n", "has one object a line, not one list. Put the lines"),
        (b"image_id,score\n10,0.9\n", "is not JSON (a table such as CSV?). Write a COCO result"),
        (b"<!doctype html><title>Log in</title>", "is a web page or XML"),
        (pickle.dumps([1]), "is binary (a pickle?). Write a COCO result file as JSON"),
        (b"PK\x03\x04\x14", "is a zip file"),
        (b"[" + ENTRY[:-9], "is not whole JSON ("),
        (b"[" + ENTRY + b"]]", "is not whole JSON (Extra data"),
    ],
)
def test_a_file_that_is_not_json_is_told_by_what_it_is(
    tmp_path: Path, content: bytes, said: str
) -> None:
    gt, pred = write(tmp_path / "gt.json", TRUTH), tmp_path / "pred.json"
    pred.write_bytes(content)
    with pytest.raises(PredictionError) as caught:
        check_one(Task("x", pred, (gt,)), Options(remember=False))
    assert str(caught.value).startswith(f"{pred}: {said}")
