"""A label map of which only the part that is not 0 is held."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Patch:
    """A label map of `height` x `width` pixels of which only a part is held.

    `values`, [rows, columns], begins at (`top`, `left`); all other labels are 0.
    """

    height: int
    width: int
    top: int
    left: int
    values: Labels

    def full(self) -> Labels:
        """The whole map, [height, width]."""
        labels = np.zeros((self.height, self.width), self.values.dtype)
        rows, columns = self.values.shape
        labels[self.top : self.top + rows, self.left : self.left + columns] = self.values
        return labels


def cut(height: int, width: int, top: int, left: int, values: Labels) -> Patch:
    """The patch without rows and columns of zeros at its edges."""
    rows, columns = np.flatnonzero(values.max(axis=1)), np.flatnonzero(values.max(axis=0))
    if not rows.size:
        return Patch(height, width, 0, 0, values[:0, :0])
    inner = values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Patch(height, width, top + int(rows[0]), left + int(columns[0]), inner)
