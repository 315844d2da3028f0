"""Two models on the same image-NPs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from saco_data.evaluation import cgf1
from saco_data.evaluation.compare import aligned, compare
from saco_data.evaluation.files import Options, Task, evaluate_one
from saco_data.evaluation.items import Items, items_of
from saco_data.model.errors import UsageError
from tests.evaluation.made import HEIGHT, WIDTH, entry, some, write

CORNER = np.zeros((HEIGHT, WIDTH), bool)
CORNER[-1, -1] = True


@pytest.fixture
def models(tmp_path: Path) -> tuple[Items, Items, list[str]]:
    """A model, and one that is often wrong about the place and did not run everywhere."""
    content, found = some(11, count=90)
    gt = write(tmp_path / "gt.json", content)
    a = write(tmp_path / "a.json", found)
    b = write(
        tmp_path / "b.json",
        [entry(each["image_id"], CORNER) if at % 3 else each for at, each in enumerate(found)],
    )
    ran = write(tmp_path / "ran.json", list(range(10, 80)))
    how = Options(remember=False)
    first = evaluate_one(Task("x", a, (gt,)), how)
    second = evaluate_one(Task("x", b, (gt,), ran=ran), how)
    return items_of(first.record), items_of(second.record), first.gt_sha256


def test_the_better_model_is_better(models: tuple[Items, Items, list[str]]) -> None:
    a, b, sha = models
    found = compare(a, b, sha, sha)
    assert (found.image_nps, found.of) == (70, 90)
    assert found.losses > found.wins
    difference, low, high = found.difference["pmF1"]
    assert low <= difference <= high and difference < 0
    back = compare(b, a, sha, sha)
    assert (back.wins, back.losses) == (found.losses, found.wins)
    assert back.difference["cgF1"][0] == -found.difference["cgF1"][0]
    assert "B is better on" in found.in_words() and found.as_json()["image_nps"] == [70, 90]


def test_a_model_equals_itself(models: tuple[Items, Items, list[str]]) -> None:
    a, _, sha = models
    found = compare(a, a, sha, sha)
    assert found.wins == found.losses == 0 and found.difference["cgF1"] == (0, 0, 0)


def test_aligned_items_give_the_same_numbers(models: tuple[Items, Items, list[str]]) -> None:
    for before, after in zip(models[:2], aligned(*models[:2]), strict=True):
        assert cgf1.numbers(cgf1.count(before)) == cgf1.numbers(cgf1.count(after))
    a, b = aligned(*models[:2])
    assert a.ids == b.ids and np.array_equal(a.units, b.units)
    assert np.array_equal(a.truth, b.truth) and np.array_equal(a.negatives, b.negatives)


def test_different_ground_truths_are_refused(models: tuple[Items, Items, list[str]]) -> None:
    a, b, sha = models
    with pytest.raises(UsageError, match="different ground truths"):
        compare(a, b, sha, ["0" * 64])
