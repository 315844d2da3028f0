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

_AT_ONCE = 64  # draws
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
    kind_of, kinds = _kinds(np.hstack(tables))
    columns = np.cumsum([each.shape[1] for each in tables])[:-1]
    found: list[list[Floats]] = [[] for _ in tables]
    for begin in range(0, samples, _AT_ONCE):
        number = min(samples - begin, _AT_ONCE)
        weights = np.empty((number, len(kinds)))
        for at in range(number):
            drawn = kind_of[random.integers(0, size, size)]
            weights[at] = np.bincount(drawn, minlength=len(kinds))
        # Not by BLAS: its threads take more processor time than the product.
        sums = np.einsum("ij,jk->ik", weights, kinds)
        for table, parts in zip(np.hsplit(sums, columns), found, strict=True):
            parts.append(three_numbers(table))
    return [np.concatenate(parts) for parts in found]


def _kinds(table: Floats) -> tuple[NDArray[np.intp], Floats]:
    """The distinct rows of a table of whole numbers, and which one each row is.

    Most units are alike: plain negatives, or one mask that was found.
    """
    factors = np.random.default_rng(0).integers(1, 1 << 62, table.shape[1])
    keys = (table.astype(np.int64) * factors).sum(1)
    _, first, kind_of = np.unique(keys, return_index=True, return_inverse=True)
    kinds = table[first]
    if (kinds[kind_of] == table).all():
        return kind_of, kinds
    return np.arange(len(table)), table  # two different rows have one key


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
