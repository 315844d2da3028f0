"""Masks: an RLE is decoded, or refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as rle

from saco_data.dataset.masks import DamagedMask, decode, measure_all, run_lengths
from tests.helpers.rle import encode


@given(
    arrays.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))),
)
def test_decoding_inverts_encoding(mask: Any) -> None:
    height, width = mask.shape
    assert np.array_equal(decode(encode(mask), width, height), mask)


@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))))
def test_runs_as_numbers_are_the_same_mask(mask: Any) -> None:
    height, width = mask.shape
    counts = run_lengths(encode(mask)["counts"])
    assert np.array_equal(decode({"counts": counts, "size": [height, width]}, width, height), mask)


NUMBERS = st.integers(-50, 90) | st.floats(-50, 90)
POLYGON = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=3, max_size=8)


@given(st.lists(POLYGON, min_size=1, max_size=3))
def test_polygons_are_the_union_of_what_pycocotools_draws(polygons: Any) -> None:
    flat = [[value for point in each for value in point] for each in polygons]
    mask = decode(flat, 40, 30)
    assert mask.shape == (30, 40)
    parts: Any = rle.decode(rle.frPyObjects(flat, 30, 40))
    assert np.array_equal(mask, parts.any(axis=2))


def test_a_square_as_a_polygon() -> None:
    mask = decode([[2, 1, 5, 1, 5, 4, 2, 4]], 7, 9)
    expected = np.zeros((9, 7), bool)
    expected[1:4, 2:5] = True
    assert np.array_equal(mask, expected)


@given(st.text(alphabet=[chr(code) for code in range(40, 116)], max_size=60))
def test_any_text_is_a_whole_mask_or_refused(counts: str) -> None:
    # pycocotools alone reads past the end of its memory here.
    try:
        mask = decode({"counts": counts, "size": [9, 7]}, 7, 9)
    except DamagedMask:
        return
    assert mask.shape == (9, 7)
    assert encode(mask)["size"] == [9, 7]


@given(st.lists(arrays.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40)))))
def test_many_masks_are_measured_at_once(drawn: list[Any]) -> None:
    counts: list[str] = [encode(mask)["counts"] for mask in drawn]
    measured = measure_all(counts)
    if not drawn:
        assert measured is None
        return
    assert measured is not None
    assert measured[0].tolist() == [mask.sum() for mask in drawn]
    assert measured[1].tolist() == [mask.size for mask in drawn]


CHARACTERS = [chr(code) for code in range(44, 116)]


@given(st.lists(st.text(alphabet=CHARACTERS, max_size=9), min_size=1, max_size=4))
def test_masks_are_measured_at_once_as_one_by_one(counts: list[str]) -> None:
    measured = measure_all(counts)
    if measured is not None:
        runs = [run_lengths(each) for each in counts]
        assert measured[0].tolist() == [sum(each[1::2]) for each in runs]
        assert measured[1].tolist() == [sum(each) for each in runs]


@pytest.mark.parametrize(
    "counts", ["", "1o", "é", "1€", "1\ud800", "0O", "o" * 11 + "1", "0" * 3 + "?" * 2 + "P" * 5]
)
def test_what_no_encoder_writes_is_not_measured(counts: str) -> None:
    assert measure_all(["02", counts]) is None


@pytest.mark.parametrize(
    ("segmentation", "why"),
    [
        (None, "no RLE"),
        ({"counts": None, "size": [9, 7]}, "no RLE"),
        ({"counts": [3, 59], "size": [9, 7]}, "fills 62 of 63"),
        ({"counts": [], "size": [9, 7]}, "fills 0 of 63"),
        ({"counts": [3, 60], "size": [7, 9]}, "of size"),
        ({"counts": [64, -1], "size": [9, 7]}, "whole number"),
        ({"counts": [3, 60.0], "size": [9, 7]}, "whole number"),
        ({"counts": [True, 62], "size": [9, 7]}, "whole number"),
        ({"counts": [3, 10**30], "size": [9, 7]}, "fills"),
        ([], "empty list of polygons"),
        ([[0, 0, 4, 4]], "three or more points"),
        ([[0, 0, 4, 4, 2]], "three or more points"),
        ([[0, 0, 4, 4, 2, None]], "three or more points"),
        ([[0, 0, 4, 4, 2, float("nan")]], "in no picture"),
        ([[0, 0, 4, 4, 2, 10**400]], "in no picture"),
        ([0, 0, 4, 4, 2, 2], "three or more points"),
        ([[0, 0, 1e9, 4, 2, 2]], "in no picture"),
        ([[0, 0, 1e300, 4, -1e308, 2]], "in no picture"),
        ([[1e9, 1e9, 1e9, 1e9, 1e9, 1e9]], "in no picture"),
        ([[0, 0, 5000, 5000] * 500], "far longer"),
        ({"counts": "", "size": [9, 7]}, "ends in the middle"),
        ({"counts": "o1", "size": [7, 9]}, "of size"),
        ({"counts": "o1", "size": [9, 7, 1]}, "of size"),
        ({"counts": "o1o1", "size": [9, 7]}, "fills 126 of 63"),
        ({"counts": "é", "size": [9, 7]}, "characters"),
        ({"counts": "n", "size": [9, 7]}, "fills|middle|negative"),
        ({"counts": "O", "size": [9, 7]}, "negative"),
        ({"counts": "o" * 40, "size": [9, 7]}, "characters|middle"),
    ],
)
def test_a_damaged_rle_is_refused_with_the_reason(segmentation: Any, why: str) -> None:
    with pytest.raises(DamagedMask, match=why):
        decode(segmentation, 7, 9)


def test_a_mask_as_large_as_the_memory_is_refused() -> None:
    with pytest.raises(DamagedMask, match="too large to be decoded"):
        decode({"counts": "0", "size": [1 << 20, 1 << 20]}, 1 << 20, 1 << 20)


def test_the_published_sample_is_refused_by_name(shared_data: Path) -> None:
    content = json.loads((shared_data / "droid_sample.json").read_text())
    annotation = content["annotations"][0]
    with pytest.raises(DamagedMask):
        decode(annotation["segmentation"], 1280, 720)


def test_real_masklets_are_decoded(shared_data: Path) -> None:
    content = json.loads((shared_data / "sav_000001_manual.json").read_text())
    for each in content["masklet"][0]:
        height, width = each["size"]
        assert np.array_equal(decode(each, width, height), rle.decode(each).astype(bool))
