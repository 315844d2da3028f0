"""J and F of two masks: equal to the definition, computed on whole frames."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from saco_data.dataset.patch import Patch
from saco_data.evaluation.jf.measure import cut_together, find_boundary, measure, tolerance


def boundary(mask: Any) -> Any:
    """The definition, pixel by pixel."""
    height, width = mask.shape
    found = np.zeros_like(mask)
    for y in range(height):
        for x in range(width):
            others = []
            if x + 1 < width:
                others.append(mask[y, x + 1])
            if y + 1 < height:
                others.append(mask[y + 1, x])
            if x + 1 < width and y + 1 < height:
                others.append(mask[y + 1, x + 1])
            found[y, x] = any(other != mask[y, x] for other in others)
    return found


def expected(truth: Any, prediction: Any) -> tuple[float, float]:
    """J and F by the definition: boundaries widened by a disk, on the whole frame."""
    reach = math.ceil(0.008 * float(np.linalg.norm(truth.shape)))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk = (x * x + y * y <= reach * reach).astype(np.uint8)
    true, predicted = boundary(truth), boundary(prediction)
    near_true, near_predicted = (
        cv2.dilate(each.astype(np.uint8), disk).astype(bool) for each in (true, predicted)
    )
    either = (truth | prediction).sum()
    j = (truth & prediction).sum() / either if either else 1.0
    if not true.any() or not predicted.any():
        return j, float(true.any() == predicted.any())
    precision = (predicted & near_true).sum() / predicted.sum()
    recall = (true & near_predicted).sum() / true.sum()
    total = precision + recall
    return j, 2 * precision * recall / total if total else 0.0


def whole(mask: Any) -> Patch:
    """The patch that a reader would give."""
    height, width = mask.shape
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return Patch(height, width, 0, 0, mask[:0, :0].astype(np.uint8))
    inner = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.uint8)
    return Patch(height, width, int(rows[0]), int(columns[0]), inner)


def measured(truth: Any, prediction: Any) -> tuple[float, float]:
    cut = cut_together(whole(truth), whole(prediction))
    return measure(cut[0] > 0, cut[1] > 0, tolerance(*truth.shape))


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    shape = draw(st.tuples(st.integers(1, 60), st.integers(1, 60)))
    masks = []
    for _ in range(2):
        mask = np.zeros(shape, bool)
        for _ in range(draw(st.integers(0, 3))):
            top, left = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
            rows, columns = draw(st.integers(1, shape[0])), draw(st.integers(1, shape[1]))
            mask[top : top + rows, left : left + columns] ^= True
        masks.append(mask)
    return masks[0], masks[1]


@given(pairs())
@example((np.ones((9, 9), bool), np.zeros((9, 9), bool)))
@example((np.ones((1, 1), bool), np.ones((1, 1), bool)))
def test_rectangles_are_measured_as_defined(pair: tuple[Any, Any]) -> None:
    assert measured(*pair) == pytest.approx(expected(*pair), abs=1e-12)


@given(st.data(), st.tuples(st.integers(1, 30), st.integers(1, 30)))
def test_noise_is_measured_as_defined(data: st.DataObject, shape: tuple[int, int]) -> None:
    truth, prediction = (data.draw(arrays.arrays(np.bool_, shape)) for _ in range(2))
    assert measured(truth, prediction) == pytest.approx(expected(truth, prediction), abs=1e-12)


@pytest.mark.parametrize("shape", [(480, 848), (720, 1280), (90, 1000)])
@pytest.mark.parametrize("seed", range(4))
def test_shapes_in_large_frames_are_measured_as_defined(shape: tuple[int, int], seed: int) -> None:
    chance = np.random.default_rng(seed)
    height, width = shape
    masks = []
    for _ in range(2):
        drawn = np.zeros(shape, np.uint8)
        centre = int(chance.integers(width)), int(chance.integers(height))
        axes = int(chance.integers(1, width // 2)), int(chance.integers(1, height))
        cv2.ellipse(drawn, centre, axes, float(chance.integers(180)), 0, 360, 1, -1)
        masks.append(drawn.astype(bool))
    moved = np.roll(masks[0], (2, -3), (0, 1))
    for truth, prediction in (masks, (masks[0], moved)):
        # The pixel loop would take minutes; that `find_boundary` is right is tested below.
        j, f = measured(truth, prediction)
        assert (j, f) == pytest.approx(on_whole_frame(truth, prediction), abs=1e-12)


def on_whole_frame(truth: Any, prediction: Any) -> tuple[float, float]:
    return measure(truth, prediction, tolerance(*truth.shape))


@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_a_boundary_differs_from_a_neighbour_to_the_right_or_below(mask: Any) -> None:
    assert (find_boundary(mask) == boundary(mask)).all()


def test_tolerances() -> None:
    sizes = {(720, 1280): 12, (480, 848): 8, (1080, 1920): 18, (75, 100): 1, (76, 100): 2}
    assert {size: tolerance(*size) for size in sizes} == sizes
