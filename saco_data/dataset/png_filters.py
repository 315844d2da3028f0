"""Undoes the filters of PNG rows, where most bytes are 0.

Filters are those of the PNG specification, chapter 9, for one byte a pixel or less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from saco_data.dataset.patch import Patch, cut

_SUB, _UP, _AVERAGE, _PAETH = range(1, 5)


def unfilter(kinds: NDArray[np.uint8], rows: NDArray[np.uint8]) -> Patch | None:
    """The bytes of a picture whose rows are filtered in these ways.

    `rows` is [height, bytes]. None if a row is filtered by the average, which is rare.
    """
    height, width = rows.shape
    found = cut(height, width, 0, 0, rows)
    if not kinds.any() or not found.values.size:
        return found
    if (kinds == _AVERAGE).any() or kinds.max() > _PAETH:
        return None
    # Above and left of all differences there are only zeros. So there are below and to the right
    # of a row and a column of zeros that have no differences either.
    top, left = found.top, found.left
    bottom = min(height, top + found.values.shape[0] + 1)
    right = min(width, left + found.values.shape[1] + 1)
    values = _unfilter_block(kinds[top:bottom], rows[top:bottom, left:right])
    goes_on = (bottom < height and values[-1].any()) or (right < width and values[:, -1].any())
    if goes_on:
        values = _unfilter_block(kinds[top:], rows[top:, left:])
    return cut(height, width, top, left, values)


def _unfilter_block(kinds: NDArray[np.uint8], rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The values of rows that have only zeros above and to the left of them."""
    values = rows.copy()
    above = np.zeros(rows.shape[1], np.uint8)
    changes = np.flatnonzero(np.diff(kinds)) + 1
    for start, end in zip([0, *changes], [*changes, len(rows)], strict=True):
        block = values[start:end]
        if kinds[start] == _SUB:
            np.add.accumulate(block, axis=1, dtype=np.uint8, out=block)
        elif kinds[start] == _UP:
            block[0] += above
            np.add.accumulate(block, axis=0, dtype=np.uint8, out=block)
        elif kinds[start] == _PAETH:
            for row in block:
                _unfilter_paeth(row, above)
                above = row
        above = block[-1]
    return values


def _unfilter_paeth(row: NDArray[np.uint8], above: NDArray[np.uint8]) -> None:
    """Undoes the Paeth filter of one row in place.

    Where a row and the one above it agree in a pixel, and the next difference is 0, they agree in
    the next pixel too: only from a difference to the next agreement is there anything to compute.
    """
    differences = row.copy()
    row[:] = above
    done = 0
    for start in np.flatnonzero(differences):
        if start < done:
            continue
        at = int(start)
        while at < len(row):
            left, up, corner = (
                (int(row[at - 1]), int(above[at]), int(above[at - 1]))
                if at
                else (0, int(above[0]), 0)
            )
            row[at] = (int(differences[at]) + _predict(left, up, corner)) & 255
            at += 1
            if row[at - 1] == above[at - 1] and (at == len(row) or not differences[at]):
                break
        done = at


def _predict(left: int, up: int, corner: int) -> int:
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner
