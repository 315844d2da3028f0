"""cgF1 in the plainest way: dense masks, one image-NP after the other, loops for everything."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from pycocotools import mask as rle

THRESHOLDS = np.linspace(0.5, 0.95, 10)


def evaluate(truth: dict[str, Any], predictions: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts and the numbers that papers print. Assignments are tried one by one."""
    il = {"tp": 0, "fp": 0, "tn": 0, "fn": 0}
    tp, fp, fn, positive_fp = ([0] * 10 for _ in range(4))
    local = [0.0] * 10
    for image in truth["images"]:
        gts = [a for a in truth["annotations"] if a["image_id"] == image["id"]]
        dts = [p for p in predictions if p["image_id"] == image["id"] and p["score"] >= 0.5]
        kind = ("t" if bool(gts) == bool(dts) else "f") + ("p" if dts else "n")
        il[kind] += 1
        if not gts and not dts:
            continue
        scores = assigned([[iou(d, g) for g in gts] for d in dts])
        for at, threshold in enumerate(THRESHOLDS):
            hits = sum(score >= threshold for score in scores)
            tp[at] += hits
            fp[at] += len(dts) - hits
            fn[at] += len(gts) - hits
            if gts:
                positive_fp[at] += len(dts) - hits
            if gts and dts:
                precision, recall = hits / (len(dts) + 1e-4), hits / (len(gts) + 1e-4)
                local[at] += 2 * precision * recall / (precision + recall + 1e-4)
    pm = []
    for t, p, n in zip(tp, positive_fp, fn, strict=True):
        precision, recall = t / (t + p + 1e-4), t / (t + n + 1e-4)
        pm.append(2 * precision * recall / (precision + recall + 1e-4))
    sums = (il["tp"] + il["fp"], il["tp"] + il["fn"], il["tn"] + il["fp"], il["tn"] + il["fn"])
    mcc = (il["tp"] * il["tn"] - il["fp"] * il["fn"]) / (math.sqrt(math.prod(sums)) + 1e-6)
    return {
        "il": [il["tp"], il["fp"], il["tn"], il["fn"]],
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "positive_fp": positive_fp,
        "cgF1": mcc * sum(pm) / 10,
        "IL_MCC": mcc,
        "positive_micro_F1": sum(pm) / 10,
        "positive_macro_F1": sum(local) / 10 / il["tp"] if il["tp"] else -1,
    }


def iou(a: dict[str, Any], b: dict[str, Any]) -> float:
    """Of two dense masks."""
    x, y = (rle.decode(each["segmentation"]).astype(bool) for each in (a, b))
    return float((x & y).sum() / max((x | y).sum(), 1))


def assigned(ious: list[list[float]]) -> list[float]:
    """The IoUs of the pairs whose sum is greatest, found by trying all."""
    if not ious or not ious[0]:
        return []
    if len(ious) > len(ious[0]):
        ious = [list(column) for column in zip(*ious, strict=True)]
    orders = itertools.permutations(range(len(ious[0])), len(ious))
    return max(
        ([row[at] for row, at in zip(ious, order, strict=True)] for order in orders), key=sum
    )
