"""Masks of a pair as a page's script draws them: one by one, at the size of its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from saco_data.dataset.drawing import scale_mask
from saco_data.dataset.masks import DamagedMask, Mask
from saco_data.dataset.pairs import Annotation, Pair, box_of, decode_mask

MOST = 40  # shapes of a pair


@dataclass(frozen=True)
class Shape:
    """A mask as run lengths, row by row, the first run outside; and its annotated box.

    `box`: left, top, width, height as parts of the picture, None where it has none.
    """

    runs: list[int]
    box: list[float] | None


def list_shapes(
    pair: Pair, annotations: Sequence[Annotation], size: tuple[int, int]
) -> list[Shape]:
    """The first MOST masks of a pair at the (width, height) `size`, without damaged ones."""
    shapes: list[Shape] = []
    for each in annotations:
        if len(shapes) == MOST:
            break
        try:
            mask = decode_mask(pair, each)
        except DamagedMask:
            continue
        box = box_of(each)
        rounded = [round(part, 4) for part in box] if box else None
        shapes.append(Shape(encode_rows(scale_mask(mask, size)), rounded))
    return shapes


def encode_rows(mask: Mask) -> list[int]:
    """The run lengths of a mask, row by row, beginning with a run (of 0 or more) outside."""
    flat = mask.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    edges = np.concatenate(([0], ends, [flat.size]))
    runs = np.diff(edges).tolist()
    return [0, *runs] if flat.size and flat[0] else runs
