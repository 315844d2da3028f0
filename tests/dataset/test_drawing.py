"""Masks: RLE decoded or refused, scaled, drawn."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from pycocotools import mask as rle

from saco_data.dataset.drawing import HALO, PALETTE, TINY, draw_layer, draw_masks, scale_mask
from saco_data.dataset.masks import DamagedMask, decode


def encoded(mask: Any) -> dict[str, Any]:
    made = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"counts": made["counts"].decode(), "size": list(mask.shape)}


@given(
    arrays.arrays(np.bool_, st.tuples(st.integers(1, 40), st.integers(1, 40))),
)
def test_what_was_encoded_comes_back(mask: Any) -> None:
    height, width = mask.shape
    assert np.array_equal(decode(encoded(mask), width, height), mask)


@given(st.text(alphabet=[chr(code) for code in range(40, 116)], max_size=60))
def test_any_text_is_a_whole_mask_or_refused(counts: str) -> None:
    # pycocotools alone reads beyond its memory here.
    try:
        mask = decode({"counts": counts, "size": [9, 7]}, 7, 9)
    except DamagedMask:
        return
    assert mask.shape == (9, 7)
    assert encoded(mask)["size"] == [9, 7]


@pytest.mark.parametrize(
    ("segmentation", "why"),
    [
        (None, "no RLE"),
        ([[0, 0, 1, 1, 2, 2]], "no RLE"),
        ({"counts": [3, 60], "size": [9, 7]}, "no compressed RLE"),
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


def test_a_single_pixel_survives_scaling_and_nothing_stays_nothing() -> None:
    dot = np.zeros((1000, 1000), bool)
    assert not scale_mask(dot, (50, 50)).any()
    dot[777, 333] = True
    small = scale_mask(dot, (50, 50))
    assert small.sum() == 1 and small[38, 16]


def test_the_colours_of_a_picture_differ_from_each_other_and_from_what_they_cover() -> None:
    for one, other in itertools.combinations(PALETTE, 2):
        assert np.linalg.norm(np.subtract(one, other)) > 60
    for colour in PALETTE:
        picture = Image.new("RGB", (40, 40), colour)
        mask = np.zeros((40, 40), bool)
        mask[10:30, 10:30] = True
        over = draw_layer([mask], picture).convert("RGBA")
        red, green, blue, _ = np.asarray(over)[20, 20].tolist()
        assert np.linalg.norm(np.subtract((red, green, blue), colour)) > 150


def test_masks_are_drawn_where_they_are_and_nowhere_else() -> None:
    picture = Image.new("RGB", (60, 40), (128, 128, 128))
    first, second = np.zeros((2, 40, 60), bool)
    first[5:35, 5:25] = True
    second[5:35, 35:55] = True
    over = np.asarray(draw_layer([first, second], picture))
    assert len({int(over[20, 15]), int(over[20, 45])}) == 2
    assert set(over[~(first | second)].tolist()) == {0, HALO}
    plain = np.asarray(draw_masks(picture, [first, second]))
    outside = over == 0
    assert (plain[outside] == 128).all() and (plain[first] != 128).any(axis=1).all()


def test_a_mask_too_small_to_see_gets_a_ring() -> None:
    picture = Image.new("RGB", (100, 100))
    dot = np.zeros((100, 100), bool)
    dot[50, 50] = True
    over = np.asarray(draw_layer([dot], picture))
    assert over[50, 50 + TINY] not in (0, HALO)
