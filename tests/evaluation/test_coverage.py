"""A number carries on how much it stands: pruned copies, models that did not run everywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saco_data.evaluation import bootstrap, cgf1
from saco_data.evaluation.files import RAN, Options, Task, evaluate_one
from saco_data.evaluation.items import items_of
from saco_data.evaluation.results import Result
from saco_data.evaluation.tables import as_text
from saco_data.model.errors import AnnotationError, UsageError
from tests.evaluation.made import entry, rectangle, some, truth, write


def without(content: dict[str, Any], ids: set[int]) -> dict[str, Any]:
    """The ground truth without some image-NPs, as a pruned file is."""
    return {
        **content,
        "images": [each for each in content["images"] if each["id"] not in ids],
        "annotations": [each for each in content["annotations"] if each["image_id"] not in ids],
    }


def test_a_copy_without_some_pictures(tmp_path: Path) -> None:
    content, found = some(4, count=30)
    gone = {10, 11, 17}
    found = [each for each in found if each["image_id"] not in gone]
    gt, pred = write(tmp_path / "gt.json", content), write(tmp_path / "pred.json", found)
    copy = write(tmp_path / "pruned.json", without(content, gone))
    how = Options(remember=False)
    result = evaluate_one(Task("x", pred, (gt,), copy=copy), how)
    assert result.coverage.image_nps == (27, 30)
    assert result.views is not None and result.shown == "official"
    assert result.official == evaluate_one(Task("x", pred, (gt,)), how).official
    pruned = evaluate_one(Task("x", pred, (copy,)), how)
    assert result.views.here == pruned.headline
    assert result.views.worst["pmF1"] <= result.views.here["pmF1"] <= result.views.best["pmF1"]
    assert result.coverage.masks == (
        len(without(content, gone)["annotations"]),
        len(content["annotations"]),
    )
    partial = evaluate_one(Task("x", pred, (gt,), copy=copy), Options(remember=False, partial=True))
    assert partial.headline == pruned.headline and partial.shown == "here"
    assert partial.interval == pruned.interval
    text = as_text(Result({"x": partial}))
    assert "on 27 of 30 image-NPs" in text and "only what is here" in text
    narrow = as_text(Result({"x": partial}), 60)
    assert max(map(len, narrow.splitlines())) <= 80 and narrow.split() == text.split()


@pytest.mark.parametrize("form", ["list", "object", "lines"])
def test_a_model_that_did_not_run_everywhere(tmp_path: Path, form: str) -> None:
    content, found = some(5, count=20)
    ran = list(range(10, 25))
    found = [each for each in found if each["image_id"] in ran]
    gt, pred = write(tmp_path / "gt.json", content), write(tmp_path / "pred.json", found)
    text = {
        "list": json.dumps(ran),
        "object": json.dumps({"image_ids": ran}),
        "lines": "\n".join(map(str, ran)),
    }
    named = write(tmp_path / "ran", text[form])
    result = evaluate_one(Task("x", pred, (gt,), ran=named), Options(remember=False))
    assert result.coverage.image_nps == (15, 20)
    beside = write(pred.with_name(pred.name + RAN), text["object"])
    assert evaluate_one(Task("x", pred, (gt,)), Options(remember=False)).coverage == result.coverage
    beside.unlink()
    complete = evaluate_one(Task("x", pred, (gt,)), Options(remember=False))
    assert complete.views is None and complete.coverage.is_complete


def test_a_list_of_another_run_is_told(tmp_path: Path) -> None:
    content, found = some(11, count=30)
    gt, pred = write(tmp_path / "gt.json", content), write(tmp_path / "pred.json", found)
    ids = [each["id"] for each in content["images"]]
    predicted = {each["image_id"] for each in found}
    fits = write(tmp_path / "fits", ids)
    assert not evaluate_one(Task("x", pred, (gt,), ran=fits), Options(remember=False)).notes
    beside = write(tmp_path / "pred.json.ran.json", {"image_ids": ["a.jpg", 7, *ids[:3]]})
    unknown, others = evaluate_one(Task("x", pred, (gt,)), Options(remember=False)).notes
    assert unknown == f"2 of 5 ids in {beside} are not in the ground truth"
    assert others.startswith(f"{len(predicted - set(ids[:3]))} image-NPs have predictions and are")


def test_ran_must_hold_ids(tmp_path: Path) -> None:
    content, found = some(5)
    gt, pred = write(tmp_path / "gt.json", content), write(tmp_path / "pred.json", found)
    with pytest.raises(UsageError, match="no list of image ids"):
        evaluate_one(
            Task("x", pred, (gt,), ran=write(tmp_path / "ran", "{}")), Options(remember=False)
        )


def test_the_published_number_tells_of_a_pruned_ground_truth(tmp_path: Path) -> None:
    content, found = some(6)
    gt, pred = write(tmp_path / "gt.json", content), write(tmp_path / "pred.json", found)
    result = evaluate_one(Task("x", pred, (gt,), published=15), Options(remember=False))
    assert "published are 15" in result.notes[0]
    assert result.coverage.in_words().startswith("on 12 of 15 image-NPs")
    assert not result.coverage.is_complete


def test_no_negatives_is_told(tmp_path: Path) -> None:
    import random

    mask = rectangle(random.Random(0))
    gt = write(tmp_path / "gt.json", truth({1: [mask], 2: [mask]}))
    pred = write(tmp_path / "pred.json", [entry(1, mask), entry(2, mask)])
    result = evaluate_one(Task("x", pred, (gt,)), Options(remember=False))
    assert result.headline["cgF1"] == 0 and result.headline["pmF1"] > 0.999
    assert "no negatives" in result.notes[0]


def test_the_interval_holds_the_number_and_says_its_unit(tmp_path: Path) -> None:
    content, found = some(8, count=120)
    gt, pred = write(tmp_path / "gt.json", content), write(tmp_path / "pred.json", found)
    result = evaluate_one(Task("x", pred, (gt,)), Options(remember=False, seed=3))
    made = result.interval
    assert made is not None and (made.unit, made.units, made.seed) == ("picture", 60, 3)
    for name in ("cgF1", "IL_MCC", "pmF1"):
        low, high = getattr(made, name)
        assert low < result.headline[name] < high
    again = evaluate_one(Task("x", pred, (gt,)), Options(remember=False, seed=3))
    assert again.interval == made
    for each in content["images"]:
        each["original_video"] = f"{each['id'] // 12}.mp4"
    write(gt, content)
    video = evaluate_one(Task("x", pred, (gt,)), Options(remember=False)).interval
    assert video is not None and (video.unit, video.units) == ("video", 11)


def test_one_draw_of_every_unit_is_the_number_itself(tmp_path: Path) -> None:
    content, found = some(9, count=40)
    gt, pred = write(tmp_path / "gt.json", content), write(tmp_path / "pred.json", found)
    items = items_of(evaluate_one(Task("x", pred, (gt,)), Options(remember=False)).record)
    whole = bootstrap.three_numbers(bootstrap.by_unit(items).sum(0, keepdims=True))[0]
    assert np.allclose(whole, list(cgf1.headline(cgf1.count(items)).values()), atol=1e-12)


def test_a_damaged_ground_truth_is_named(tmp_path: Path) -> None:
    content, found = some(4)
    content["annotations"][2]["segmentation"]["counts"] += "1"
    gt, pred = write(tmp_path / "gt.json", content), write(tmp_path / "pred.json", found)
    image = content["annotations"][2]["image_id"]
    with pytest.raises(AnnotationError, match=f"image id {image} is damaged"):
        evaluate_one(Task("x", pred, (gt,)), Options(remember=False))


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"seed": 2**63}, {"iou_type": "box"}])
def test_a_value_that_does_not_fit_is_refused_in_words(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"does not fit.*Give"):
        Options(**wrong)
