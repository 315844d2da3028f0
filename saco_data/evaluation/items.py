"""Counts by image-NP, from which all numbers are made: only those that are not plain negatives.

A negative image-NP without predictions (nearly all of the largest subset) is only counted, by
picture or video.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saco_data.evaluation.matching import THRESHOLDS
from saco_data.evaluation.results import ItemRecord

T = len(THRESHOLDS)
Ints = NDArray[np.int64]


@dataclass
class Items:
    """Counts of evaluated image-NPs in the order of the ground truth.

    One row for each that has annotated masks, predictions, or is not here: `ids`, `positions`
    (number among the evaluated), `units` (number of its picture or video), `truth` and `predicted`
    (masks), `tp` ([rows, 10], true positives by threshold), `here` (its picture is there and the
    model ran on it). `negatives`: how many others each unit has: negative, not predicted, here.
    """

    unit_kind: str
    evaluated: int
    ids: list[Any]
    positions: Ints
    units: Ints
    truth: Ints
    predicted: Ints
    tp: Ints
    here: NDArray[np.bool_]
    negatives: Ints

    def only(self, rows: NDArray[np.bool_]) -> Items:
        """The same negatives with only some of the rows."""
        return Items(
            self.unit_kind,
            int(rows.sum() + self.negatives.sum()),
            [each for each, kept in zip(self.ids, rows.tolist(), strict=True) if kept],
            self.positions[rows],
            self.units[rows],
            self.truth[rows],
            self.predicted[rows],
            self.tp[rows],
            self.here[rows],
            self.negatives,
        )

    def those_here(self) -> Items:
        """Only what is here."""
        return self if self.here.all() else self.only(self.here)

    def if_missing_were(self, right: bool) -> Items:
        """The missing ones found exactly (`right`), or missed where something is and found where
        nothing is, one mask each."""
        missing = ~self.here
        predicted, tp = self.predicted.copy(), self.tp.copy()
        if right:
            predicted[missing] = self.truth[missing]
            tp[missing] = self.truth[missing, None]
        else:
            predicted[missing] = self.truth[missing] == 0
            tp[missing] = 0
        return Items(
            self.unit_kind,
            self.evaluated,
            self.ids,
            self.positions,
            self.units,
            self.truth,
            predicted,
            tp,
            self.here,
            self.negatives,
        )


def record_of(items: Items) -> ItemRecord:
    """The items as plain data."""
    return ItemRecord(
        items.unit_kind,
        items.evaluated,
        items.ids,
        items.positions.tolist(),
        items.units.tolist(),
        items.truth.tolist(),
        items.predicted.tolist(),
        items.tp.tolist(),
        items.here.tolist(),
        items.negatives.tolist(),
    )


def items_of(record: ItemRecord) -> Items:
    """The items of a record."""
    return Items(
        record.unit_kind,
        record.evaluated,
        record.ids,
        np.array(record.positions, np.int64),
        np.array(record.units, np.int64),
        np.array(record.truth, np.int64),
        np.array(record.predicted, np.int64),
        np.array(record.tp, np.int64).reshape(-1, T),
        np.array(record.here, bool),
        np.array(record.negatives, np.int64),
    )
