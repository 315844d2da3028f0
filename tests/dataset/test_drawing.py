"""Masks, scaled and drawn onto pictures."""

from __future__ import annotations

import itertools

import numpy as np
from PIL import Image

from saco_data.dataset.drawing import HALO, PALETTE, TINY, draw_layer, draw_masks, scale_mask


def test_scaling_keeps_a_single_pixel_and_an_empty_mask() -> None:
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
