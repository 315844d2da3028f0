"""Confidence intervals by bootstrap over pictures or videos.

Image-NPs of one picture (or video) are not independent, so the picture is what is drawn, with all
its image-NPs. Percentile intervals, 95 %.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from saco_data.evaluation.cgf1 import IMAGES, MASKS
from saco_data.evaluation.items import Items, T
from saco_data.evaluation.results import SAMPLES, SEED, Interval

_CELLS = 3_000_000  # numbers drawn at a time: bounds memory
# Columns of the table of counts: image level TP, FP, TN, FN, masks annotated, then by threshold
# true positives and false positives where something is annotated.
_COLUMNS = 5 + 2 * T

Floats = NDArray[np.float64]


def interval(items: Items, samples: int = SAMPLES, seed: int = SEED) -> Interval:
    """The intervals of the three numbers over these items."""
    table = by_unit(items)
    drawn = draw([table], samples, seed)[0]
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    cgf1, mcc, pmf1 = ((float(a), float(b)) for a, b in zip(low, high, strict=True))
    return Interval(cgf1, mcc, pmf1, items.unit_kind, len(table), samples, seed)


def by_unit(items: Items, units: NDArray[np.bool_] | None = None) -> Floats:
    """Counts of each picture or video that has any item: [units, columns].

    `units`: which of all units to take, for tables of two models that must agree.
    """
    positive, asked = items.truth > 0, items.predicted > 0
    rows = np.zeros((len(items.truth), _COLUMNS))
    rows[:, 0] = positive & asked
    rows[:, 1] = ~positive & asked
    rows[:, 2] = ~positive & ~asked
    rows[:, 3] = positive & ~asked
    rows[:, 4] = items.truth
    rows[:, 5 : 5 + T] = items.tp
    rows[:, 5 + T :] = np.where(positive[:, None], items.predicted[:, None] - items.tp, 0)
    table = np.zeros((len(items.negatives), _COLUMNS))
    order = np.argsort(items.units, kind="stable")
    if len(order):
        numbers, starts = np.unique(items.units[order], return_index=True)
        table[numbers] = np.add.reduceat(rows[order], starts)
    table[:, 2] += items.negatives
    return table[has_items(items) if units is None else units]


def has_items(items: Items) -> NDArray[np.bool_]:
    """Which units have any of the items."""
    found = items.negatives > 0
    found[items.units] = True
    return found


def draw(tables: list[Floats], samples: int, seed: int) -> list[Floats]:
    """The three numbers of `samples` draws of units with replacement: [samples, 3] a table.

    All tables have the same units, and the same draws are made of each.
    """
    size = len(tables[0])
    random = np.random.default_rng(seed)
    # Whole numbers below 2^24 are exact in 32 bits; a draw has hardly ever twice the sum.
    kind = np.float32 if max(each.sum(0).max() for each in tables) < 1 << 22 else np.float64
    tables = [each.astype(kind) for each in tables]
    found: list[list[Floats]] = [[] for _ in tables]
    done = 0
    while done < samples:
        number = min(samples - done, max(1, _CELLS // max(size, 1)))
        weights = np.empty((number, size), kind)
        for at in range(number):
            weights[at] = np.bincount(random.integers(0, size, size), minlength=size)
        for table, parts in zip(tables, found, strict=True):
            parts.append(three_numbers((weights @ table).astype(float)))
        done += number
    return [np.concatenate(parts) for parts in found]


def three_numbers(sums: Floats) -> Floats:
    """cgF1, IL_MCC and pmF1 of sums of counts: [n, 3] from [n, columns]."""
    tp, fp, tn, fn, truth = sums[:, :5].T
    found, wrong = sums[:, 5 : 5 + T], sums[:, 5 + T :]
    precision = found / (found + wrong + MASKS)
    recall = found / (truth[:, None] + MASKS)
    f1 = 2 * precision * recall / (precision + recall + MASKS)
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    mcc = (tp * tn - fp * fn) / (np.sqrt(product) + IMAGES)
    return np.column_stack([(f1 * mcc[:, None]).mean(1), mcc, f1.mean(1)])
