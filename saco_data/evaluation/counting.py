"""From a ground truth (or three: Gold) and predictions to counts by image-NP."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from saco_data.evaluation import matching
from saco_data.evaluation.cgf1 import f1_of
from saco_data.evaluation.ground_truth import GroundTruth, Shape
from saco_data.evaluation.items import Items, T
from saco_data.evaluation.predictions_file import Predicted

Ints = NDArray[np.int64]


def items_of(
    truths: list[GroundTruth],
    predicted: Predicted,
    here: NDArray[np.bool_] | None = None,
    jobs: int = 1,
) -> Items:
    """Counts of the evaluated image-NPs of the first ground truth.

    `here`: by position in its `ids`, whether the picture is there and the model ran; None: all.
    """
    first = truths[0]
    entries = _evaluated(truths)
    parts = [_compare(first, truth, entries, predicted, jobs) for truth in truths]
    truth, kept, tp = parts[0] if len(parts) == 1 else _choose(parts)
    there = np.ones(len(entries), bool) if here is None else here[entries]
    plain = (truth == 0) & (kept == 0) & there
    rows = np.flatnonzero(~plain)
    return Items(
        first.unit_kind,
        len(entries),
        [first.ids.value(at) for at in entries[rows].tolist()],
        rows,
        first.unit[entries[rows]].astype(np.int64),
        truth[rows],
        kept[rows],
        tp.of(rows),
        there[rows],
        np.bincount(first.unit[entries[plain]], minlength=first.units),
    )


def _evaluated(truths: list[GroundTruth]) -> Ints:
    """The entries of the first that are annotated exhaustively in every file that has them."""
    first, entries = truths[0], truths[0].entries
    for other in truths[1:]:
        at = other.ids.positions([first.ids.value(each) for each in entries.tolist()])
        entries = entries[(at < 0) | other.is_evaluated[at]]
    return entries


class _TruePositives:
    """True positives of the few items that have any, found by the item's number."""

    def __init__(self, size: int, where: Ints, counts: Ints) -> None:
        self._row = np.full(size, -1, np.int64)
        self._row[where] = np.arange(len(where))
        self._counts = np.vstack([counts, np.zeros((1, T), np.int64)])

    def of(self, items: Ints) -> Ints:
        """[len(items), 10]"""
        found: Ints = self._counts[self._row[items]]
        return found


Part = tuple[Ints, Ints, _TruePositives]  # masks annotated, masks predicted, true positives


def _compare(
    first: GroundTruth, truth: GroundTruth, entries: Ints, predicted: Predicted, jobs: int
) -> Part:
    """Counts against one ground truth; `entries` and `predicted` go by ids of the first."""
    if truth is first:
        at_of: dict[int, int] | None = None
    else:
        known = sorted({*entries.tolist(), *predicted.shapes})
        theirs = truth.ids.positions([first.ids.value(each) for each in known])
        at_of = {each: at for each, at in zip(known, theirs.tolist(), strict=True) if at >= 0}
    annotated = np.zeros(len(first.ids), np.int64)
    kept = np.zeros(len(first.ids), np.int64)
    shapes: dict[int, list[Shape]] = {}
    if at_of is None:
        shapes = truth.shapes
    else:
        shapes = {a: truth.shapes[b] for a, b in at_of.items() if b in truth.shapes}
    for at, group in shapes.items():
        annotated[at] = len(group)
    work: list[tuple[Any, list[Shape], list[Shape]]] = []
    where: list[int] = []
    wanted = np.zeros(len(first.ids), bool)
    wanted[entries] = True
    for at in sorted(predicted.shapes):
        if not wanted[at]:
            continue
        mine = [shape for category, shape in predicted.shapes[at] if category in truth.categories]
        kept[at] = len(mine)
        if mine and at in shapes:
            work.append((first.ids.value(at), mine, shapes[at]))
            where.append(at)
    counts = matching.count(work, jobs).astype(np.int64)
    by_position = _TruePositives(len(first.ids), np.array(where, np.int64), counts)
    matched = np.flatnonzero(by_position._row[entries] >= 0)
    tp = _TruePositives(len(entries), matched, by_position.of(entries[matched]))
    return annotated[entries], kept[entries], tp


def _choose(parts: list[Part]) -> Part:
    """Of several annotators the one that agrees best, for each image-NP.

    One who annotated nothing, where nothing was predicted, wins; else the greatest mean F1; the
    first of equal ones.
    """
    truth, kept, tp = parts[0]
    every = np.arange(len(truth))
    best_truth, best_kept, best_tp = truth.copy(), kept.copy(), tp.of(every).copy()
    for truth, kept, tp in parts[1:]:
        theirs = tp.of(every)
        nothing = (truth == 0) & (kept == 0)
        settled = (best_truth == 0) & (best_kept == 0)
        score = f1_of(theirs, kept, truth).mean(axis=1)
        best = f1_of(best_tp, best_kept, best_truth).mean(axis=1)
        better = nothing | (~settled & (score > best))
        best_truth[better], best_kept[better] = truth[better], kept[better]
        best_tp[better] = theirs[better]
    return best_truth, best_kept, _TruePositives(len(best_truth), every, best_tp)
