"""Image ids of a ground truth and where they stand: fast for whole numbers, right for all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Id = int | float | str


class Ids:
    """Distinct ids in the order of their first appearance. 10 and 10.0 are one id, "10" another."""

    def __init__(self, ids: Sequence[Any]) -> None:
        numbers = _as_integers(ids)
        if numbers is not None:
            distinct, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
            order = np.argsort(first)
            rank = np.empty(len(order), np.int64)
            rank[order] = np.arange(len(order))
            self.of_entries: NDArray[np.int64] = rank[inverse]
            self._sorted: NDArray[np.int64] | None = distinct
            self._rank = rank
            self._numbers = distinct[order]
            self._values: list[Any] = []
            self._positions: dict[Any, int] = {}
            return
        self._sorted = None
        self._positions = {}
        self.of_entries = np.array(
            [self._positions.setdefault(each, len(self._positions)) for each in ids], np.int64
        )
        self._values = list(self._positions)

    def __len__(self) -> int:
        return len(self._values) if self._sorted is None else len(self._sorted)

    @property
    def has_text(self) -> bool:
        """Whether any id is text."""
        return any(isinstance(each, str) for each in self._values)

    def value(self, position: int) -> Any:
        """The id at a position."""
        return self._values[position] if self._sorted is None else int(self._numbers[position])

    def positions(self, ids: Sequence[Any]) -> NDArray[np.int64]:
        """The position of each id; -1 for one that is not here."""
        numbers = _as_integers(ids) if self._sorted is not None else None
        if numbers is not None and self._sorted is not None and len(self._sorted):
            at = np.searchsorted(self._sorted, numbers)
            at[at == len(self._sorted)] = 0
            return np.where(self._sorted[at] == numbers, self._rank[at], -1)
        known = self._dictionary()
        return np.array([known.get(each, -1) if _hashable(each) else -1 for each in ids], np.int64)

    def _dictionary(self) -> dict[Any, int]:
        if len(self._positions) != len(self):
            self._positions = {self.value(at): at for at in range(len(self))}
        return self._positions


def _as_integers(ids: Sequence[Any]) -> NDArray[np.int64] | None:
    if isinstance(ids, np.ndarray):
        return ids if ids.dtype == np.int64 else None
    if not set(map(type, ids)) <= {int}:
        return None
    try:
        return np.array(ids, np.int64)
    except OverflowError:
        return None


def _hashable(value: Any) -> bool:
    return isinstance(value, int | float | str | None)
