"""J and F of one object in one frame, computed only where its masks are.

J is intersection over union. F compares the boundaries: precision is the share of the predicted
boundary that lies within a tolerance of the true one, recall the reverse. Definitions of DAVIS 2017
as the evaluator of SA-V applies them.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from saco_data.dataset.patch import Labels, Patch

Mask = NDArray[np.bool_]

TOLERANCE = 0.008  # of the frame's diagonal


@cache
def tolerance(height: int, width: int) -> int:
    """How far apart two boundary pixels may be to match, in pixels: 12 at 720p."""
    return math.ceil(TOLERANCE * math.sqrt(height * height + width * width))


def cut_together(truth: Patch, prediction: Patch) -> tuple[Labels, Labels]:
    """Both label maps, cut to the rectangle that holds their labels and a margin of one pixel.

    With the margin, boundaries in the rectangle are those in the whole frame: its last row and
    column are either without labels or the last of the frame. Both maps must be of one size.
    """
    parts = [part for part in (truth, prediction) if part.values.size]
    if not parts:
        return truth.values, prediction.values
    top = max(0, min(part.top for part in parts) - 1)
    left = max(0, min(part.left for part in parts) - 1)
    bottom = min(truth.height, max(part.top + part.values.shape[0] for part in parts) + 1)
    right = min(truth.width, max(part.left + part.values.shape[1] for part in parts) + 1)
    return (
        _paste(truth, top, left, bottom - top, right - left),
        _paste(prediction, top, left, bottom - top, right - left),
    )


def _paste(part: Patch, top: int, left: int, height: int, width: int) -> Labels:
    pasted = np.zeros((height, width), part.values.dtype)
    rows, columns = part.values.shape
    y, x = part.top - top, part.left - left
    if part.values.size:
        pasted[y : y + rows, x : x + columns] = part.values
    return pasted


def measure(truth: Mask, prediction: Mask, reach: int) -> tuple[float, float]:
    """J and F, from 0 to 1, of two masks that were cut together.

    `reach` is the `tolerance` of the whole frame, in pixels.
    """
    common = np.count_nonzero(truth & prediction)
    either = np.count_nonzero(truth) + np.count_nonzero(prediction) - common
    j = common / either if either else 1.0
    return j, _f(find_boundary(truth), find_boundary(prediction), reach)


def find_boundary(mask: Mask) -> Mask:
    """The pixels that differ from their right, lower or lower right neighbour.

    In the last row only the right neighbour counts, in the last column only the lower one: a mask
    that the frame cuts off has no boundary there.
    """
    boundary = np.zeros_like(mask)
    if mask.size:
        inner = mask[:-1, :-1]
        boundary[:-1, :-1] = (
            (inner ^ mask[:-1, 1:]) | (inner ^ mask[1:, :-1]) | (inner ^ mask[1:, 1:])
        )
        boundary[-1, :-1] = mask[-1, :-1] ^ mask[-1, 1:]
        boundary[:-1, -1] = mask[:-1, -1] ^ mask[1:, -1]
    return boundary


def _f(truth: Mask, prediction: Mask, reach: int) -> float:
    """F of two boundaries."""
    true, predicted = np.flatnonzero(truth), np.flatnonzero(prediction)
    if not true.size or not predicted.size:
        return float(true.size == predicted.size)
    precision = _count_near(predicted, truth, reach) / predicted.size
    recall = _count_near(true, prediction, reach) / true.size
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _count_near(points: NDArray[np.intp], boundary: Mask, reach: int) -> int:
    """How many of the points have a boundary pixel within `reach` pixels, in a straight line.

    `points` are indices into the flattened `boundary`. A disk is a stack of horizontal segments,
    and a segment holds a boundary pixel if their running count differs between its ends.
    """
    rows, columns = boundary.shape
    stride = columns + reach  # so that no segment reaches into another row
    framed = np.zeros((rows + 2 * reach, stride), np.int32)
    framed[reach : reach + rows, :columns] = boundary
    count = np.zeros(framed.size + 1, np.int32)
    np.cumsum(framed.ravel(), out=count[1:])

    y, x = np.divmod(points, columns)
    at = (y + reach) * stride + x
    # Most points match within their own row.
    far = at[count[at + reach + 1] == count[at - reach]]
    if not far.size:
        return int(points.size)
    starts, ends = _disk(reach, stride)
    matched = (count[far + ends] != count[far + starts]).any(axis=0)
    return int(points.size - far.size + np.count_nonzero(matched))


@cache
def _disk(reach: int, stride: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Start and end, [2 * reach, 1], of a disk's segments but the middle one, as flat offsets."""
    offsets = [y for y in range(-reach, reach + 1) if y]
    half = [math.isqrt(reach * reach - y * y) for y in offsets]
    starts = [y * stride - x for y, x in zip(offsets, half, strict=True)]
    ends = [y * stride + x + 1 for y, x in zip(offsets, half, strict=True)]
    return np.array(starts)[:, None], np.array(ends)[:, None]
