"""What a page says of its contents, and whether losses are biased."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from saco_data.dataset import pairs
from saco_data.model.reasons import Reason
from saco_data.model.records import Outcome
from saco_data.report.bias import FEWEST, compare, correct
from saco_data.report.contents import TRAITS, Contents, Unit, read_categories
from saco_data.report.shapes import encode_rows
from saco_data.state.ledger import Ledger
from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config


def made(folder: Path) -> Contents:
    """Three pictures: one ready with a mask, one gone, one not tried; five phrases."""
    images = [
        image(0, "a.jpg", text_input="mug", queried_category="7"),
        image(1, "a.jpg", text_input="cat", queried_category="8"),
        image(2, "b.jpg", text_input="mug", queried_category="7"),
        image(3, "b.jpg", text_input="dog", queried_category="9"),
        image(4, "c.jpg", text_input="cow", queried_category="9"),
    ]
    masks = [
        {"id": at, "image_id": images[of]["id"], "area": 0.02} for at, of in enumerate((0, 0, 2))
    ]
    settings = config(folder)
    annotate(folder, "nga", document(*images, masks=masks))
    path = settings.subset("nga").pristine
    with Ledger(settings.state) as ledger:
        ledger.record([Outcome("nga", "a.jpg", Reason.OK)])
        ledger.record([Outcome("nga", "b.jpg", Reason.HTTP_404)])
        contents = Contents()
        contents.add("nga", pairs.read(path), ledger.items("nga"), read_categories(path))
    return contents


def test_pairs_are_counted_by_sign_and_by_what_is_here(tmp_path: Path) -> None:
    contents = made(tmp_path)
    assert contents.pairs == {
        (True, True): 1,
        (False, True): 1,
        (True, False): 1,
        (False, False): 2,
    }
    assert contents.by_subset == {"nga": contents.pairs}


def test_histograms_count_ready_and_other_values(tmp_path: Path) -> None:
    contents = made(tmp_path)
    filled = {
        each.title.split(",")[0]: [bin_ for bin_ in each.bins if sum(bin_[1:])]
        for each in contents.histograms
    }
    assert filled["Mask area"] == [("1–10", 2, 1)]
    assert filled["Masks of a positive phrase"] == [("1", 0, 1), ("2", 1, 0)]
    assert filled["Phrases of a picture"] == [("1", 0, 1), ("2", 1, 1)]
    assert sum(sum(each[1:]) for each in filled["Picture size"]) == 3


def test_a_phrase_is_lost_when_all_its_pictures_are(tmp_path: Path) -> None:
    # The mug is in a picture that is here; the cow's picture was not tried yet.
    assert made(tmp_path).lost_phrases() == [("dog", 1)]


def test_categories_are_counted_with_their_losses(tmp_path: Path) -> None:
    found = {
        each.name: (each.total, each.missing) for each in compare(made(tmp_path).units).categories
    }
    assert found == {"7": (2, 1), "8": (1, 0), "9": (1, 1)}


def units(missing: list[bool], masks: list[float]) -> list[Unit]:
    return [
        Unit("nga", lost, [2.0, 0.5, value, 0.1, 100.0], Counter({"7": 1}))
        for lost, value in zip(missing, masks, strict=True)
    ]


def test_a_biased_loss_is_found_and_named() -> None:
    bias = compare(units([True] * 20 + [False] * 80, [9.0] * 20 + [1.0 + n % 3 for n in range(80)]))
    assert [each.name for each in bias.traits if each.differs] == ["masks a picture"]
    assert "biased" in bias.verdict and "masks a picture" in bias.verdict
    masks = bias.traits[TRAITS.index("masks a picture")]
    assert masks.missing == 9 and masks.ready == pytest.approx(2, abs=0.1)


def test_a_random_loss_is_called_biased_about_as_rarely_as_promised() -> None:
    chance = random.Random(0)
    wrong = 0
    for _ in range(300):
        missing = [True] * 15 + [False] * 60
        bias = compare(units(missing, [float(chance.randrange(8)) for _ in missing]))
        wrong += bias.verdict.startswith("The loss is biased")
    # 5 % of 300 are 15; 30 would be four standard deviations above.
    assert 0 < wrong < 30


def test_subsets_that_lose_differently_are_not_a_bias() -> None:
    """One subset has many masks and loses much, the other few and little."""
    chance = random.Random(1)
    found = []
    for name, lost, level in (("nga", 30, 20.0), ("sav", 5, 1.0)):
        for at in range(60):
            values: list[float | None] = [1.0, 0.5, level + chance.random(), 0.1, 1.0]
            found.append(Unit(name, at < lost, values, Counter()))
    assert compare(found).verdict.startswith("No sign of bias")


def test_too_few_losses_are_not_judged() -> None:
    few = units([True] * (FEWEST - 1) + [False] * 50, [9.0] * (FEWEST - 1) + [1.0] * 50)
    assert compare(few).verdict.startswith("Too few to tell")
    assert compare([]).verdict.startswith("Too few to tell")


def test_p_values_are_corrected_by_holm() -> None:
    assert correct([0.01, None, 0.04, 0.03]) == [0.03, None, 0.06, 0.06]


@given(arrays.arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_run_lengths_of_rows_can_be_undone(
    mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]],
) -> None:
    runs = encode_rows(mask)
    assert sum(runs) == mask.size and all(runs[1:])
    parts = [np.full(length, at % 2 == 1) for at, length in enumerate(runs)]
    assert (np.concatenate(parts).reshape(mask.shape) == mask).all()
