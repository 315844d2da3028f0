"""The official 26 numbers of cgF1 from counts, equal to the last bit.

Defined in the SAM 3 paper; epsilons, the order of sums and what is left out of a mean follow what
the official evaluator answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saco_data.evaluation.items import Items
from saco_data.evaluation.matching import THRESHOLDS

MASKS = 1e-4  # the official epsilon of numbers about masks
IMAGES = 1e-6  # and of numbers about image-NPs
_BY_THRESHOLD = (
    "cgF1",
    "precision",
    "recall",
    "F1",
    "positive_macro_F1",
    "positive_micro_F1",
    "positive_micro_precision",
)
_OF_IMAGES = ("IL_precision", "IL_recall", "IL_F1", "IL_FPR", "IL_MCC")
_AT = {"@0.5": 0, "@0.75": 5}
NAMES = (
    *_BY_THRESHOLD,
    *_OF_IMAGES,
    *(f"{name}{at}" for at in _AT for name in _BY_THRESHOLD),
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Counts:
    """Sums over image-NPs: of the image level as numbers, of masks by threshold.

    `positive_fp`: false positives where something is annotated; `local_f1`: the sum of the F1 of
    each image-level true positive.
    """

    il_tp: int
    il_fp: int
    il_tn: int
    il_fn: int
    tp: Ints
    fp: Ints
    fn: Ints
    positive_fp: Ints
    local_f1: Floats

    def as_json(self) -> dict[str, Any]:
        """`il`: [TP, FP, TN, FN]; the others ten numbers, by threshold."""
        return {
            "il": [self.il_tp, self.il_fp, self.il_tn, self.il_fn],
            "tp": self.tp.tolist(),
            "fp": self.fp.tolist(),
            "fn": self.fn.tolist(),
            "positive_fp": self.positive_fp.tolist(),
        }


def f1_of(tp: Ints, predicted: Ints, truth: Ints) -> Floats:
    """F1 of image-NPs by threshold: [n, 10], from counts [n, 10], [n] and [n]."""
    fp, fn = predicted[:, None] - tp, truth[:, None] - tp
    precision = tp / (tp + fp + MASKS)
    recall = tp / (tp + fn + MASKS)
    result: Floats = 2 * precision * recall / (precision + recall + MASKS)
    return result


def count(items: Items) -> Counts:
    """The sums over these items."""
    positive, asked = items.truth > 0, items.predicted > 0
    both = positive & asked
    fp = items.predicted[:, None] - items.tp
    local = f1_of(items.tp[both], items.predicted[both], items.truth[both])
    return Counts(
        int(both.sum()),
        int((asked & ~positive).sum()),
        int(items.negatives.sum() + (~asked & ~positive).sum()),
        int((positive & ~asked).sum()),
        items.tp.sum(0),
        fp.sum(0),
        (items.truth[:, None] - items.tp).sum(0),
        fp[positive].sum(0),
        # One after the other, as the official evaluator adds: numpy's sum has another last bit.
        np.cumsum(local, axis=0)[-1] if len(local) else np.zeros(len(THRESHOLDS)),
    )


def numbers(counts: Counts) -> dict[str, float]:
    """The 26 numbers by their official names (without `cgF1_eval_segm_`)."""
    tp = counts.tp
    precision = tp / (tp + counts.fp + MASKS)
    positive_precision = tp / (tp + counts.positive_fp + MASKS)
    recall = tp / (tp + counts.fn + MASKS)
    positive_f1 = 2 * positive_precision * recall / (positive_precision + recall + MASKS)
    with np.errstate(invalid="ignore", divide="ignore"):
        macro = counts.local_f1 / counts.il_tp if counts.il_tp else counts.local_f1 * np.nan
    il_recall = counts.il_tp / (counts.il_tp + counts.il_fn + IMAGES)
    il_precision = counts.il_tp / (counts.il_tp + counts.il_fp + IMAGES)
    mcc = _mcc(counts)
    series = {
        "cgF1": positive_f1 * mcc,
        "precision": precision,
        "recall": recall,
        "F1": 2 * precision * recall / (precision + recall + MASKS),
        "positive_macro_F1": macro,
        "positive_micro_F1": positive_f1,
        "positive_micro_precision": positive_precision,
    }
    single = {
        "IL_precision": il_precision,
        "IL_recall": il_recall,
        "IL_F1": 2 * il_precision * il_recall / (il_precision + il_recall + IMAGES),
        "IL_FPR": counts.il_fp / (counts.il_fp + counts.il_tn + IMAGES),
        "IL_MCC": mcc,
    }
    found = {name: _mean(values) for name, values in series.items()} | single
    for suffix, at in _AT.items():
        found |= {f"{name}{suffix}": _mean(values[[at]]) for name, values in series.items()}
    return {name: float(found[name]) for name in NAMES}


def official(found: dict[str, float], iou_type: str) -> dict[str, float]:
    """The numbers under the official keys."""
    return {f"cgF1_eval_{iou_type}_{name}": value for name, value in found.items()}


def headline(counts: Counts) -> dict[str, float]:
    """The three numbers that papers print: cgF1, IL_MCC, pmF1, as fractions."""
    found = numbers(counts)
    return {"cgF1": found["cgF1"], "IL_MCC": found["IL_MCC"], "pmF1": found["positive_micro_F1"]}


def _mcc(counts: Counts) -> float:
    tp, fp, tn, fn = counts.il_tp, counts.il_fp, counts.il_tn, counts.il_fn
    product = float(tp + fp) * float(tp + fn) * float(tn + fp) * float(tn + fn)
    root: float = product**0.5
    return float(tp * tn - fp * fn) / (root + IMAGES)


def _mean(values: Floats) -> float:
    """The official mean: of what is above -1; -1 where nothing is."""
    kept = values[values > -1]
    return float(np.mean(kept)) if len(kept) else -1.0
