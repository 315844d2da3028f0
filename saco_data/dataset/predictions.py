"""Writes what a model predicts as a COCO result file that the official evaluator reads."""

from __future__ import annotations

import contextlib
import importlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from saco_data.dataset.item import Item
from saco_data.model.errors import UsageError
from saco_data.storage import files

DIGITS = 5  # of scores and boxes, as the official dumper rounds
RAN = ".ran.json"  # beside the file: the ids that the model ran on


class Predictions:
    """A prediction file, written as the predictions come; it appears whole or not at all.

    Use it in a `with` block. `<path>.ran.json` beside it names the image-NPs that the model ran
    on: an item for which nothing was found leaves no trace in a COCO result file.
    Raises DiskFull, OutputError, and UsageError for what the evaluator could not count.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._stack = contextlib.ExitStack()
        self._file: Any = None
        self._ids: dict[int | float | str, None] = {}
        self._entries = 0

    def __enter__(self) -> Self:
        self._file = self._stack.enter_context(files.open_atomic(self.path))
        self._file.write(b"[")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._file.write(b"]\n")
        self._file = None
        self._stack.__exit__(kind, error, trace)
        if kind is None:
            content = {"version": 1, "image_ids": list(self._ids)}
            files.write_if_changed(
                self.path.with_name(self.path.name + RAN), json.dumps(content).encode()
            )

    def add(self, item: Item, masks: ArrayLike, scores: Sequence[float] | ArrayLike) -> None:
        """The masks of an item, bool [n, height, width], and their scores, n numbers of 0 to 1.

        Of numbers, those above 0 are mask, as of the logits of SAM; probabilities are refused.
        Scores are rounded to five digits, as the official dumper does; from 0.5 on they count.
        """
        masks = np.asarray(masks)
        if _are_probabilities(masks):
            raise self._wrong(
                item,
                "the masks hold fractions such as probabilities, and all above 0 would be mask",
                "Give bool: `masks > 0.5`",
            )
        masks = masks if masks.dtype == bool else masks > 0
        values = np.asarray(scores, float).reshape(-1)
        shape = (len(values), item.height, item.width)
        if masks.size == 0 and not len(values):
            masks = np.zeros(shape, bool)
        if masks.shape != shape:
            raise self._wrong(
                item,
                f"the masks have the shape {masks.shape}, {shape} is needed",
                "Give one mask a score, each of the size of the picture: [n, height, width]",
            )
        if not all(math.isfinite(each) and 0 <= each <= 1 for each in values):
            raise self._wrong(item, "a score is not from 0 to 1", "Give fractions, not percent")
        self._begin(item)
        for mask, score in zip(masks, values.tolist(), strict=True):
            self._write(self._entry(item, mask, score))

    def nothing(self, item: Item) -> None:
        """Records that the model ran on an item and found nothing."""
        self._begin(item)

    def _begin(self, item: Item) -> None:
        if self._file is None:
            raise self._wrong(item, "the file is not open", "Write inside the `with` block")
        if item.id in self._ids:
            raise self._wrong(item, "was added before", "Add all masks of an item at once")
        self._ids[item.id] = None

    def _entry(self, item: Item, mask: np.ndarray[Any, Any], score: float) -> dict[str, Any]:
        rle: Any = importlib.import_module("pycocotools.mask")
        encoded = rle.encode(np.asfortranarray(mask, np.uint8))
        box = rle.toBbox(encoded) / (item.width, item.height, item.width, item.height)
        return {
            "image_id": item.id,
            "category_id": 1,
            "segmentation": {
                "size": [item.height, item.width],
                "counts": encoded["counts"].decode("ascii"),
            },
            "score": round(score, DIGITS),
            "area": int(mask.sum()) / mask.size,
            "bbox": [round(float(each), DIGITS) for each in box],
        }

    def _write(self, entry: dict[str, Any]) -> None:
        self._file.write((b",\n" if self._entries else b"\n") + json.dumps(entry).encode())
        self._entries += 1

    def _wrong(self, item: Item, what: str, remedy: str) -> UsageError:
        return UsageError(what, item=f"{self.path}: image id {item.id!r}", remedy=remedy)


def _are_probabilities(masks: np.ndarray[Any, Any]) -> bool:
    """Whether these are fractions from 0 to 1: neither 0 and 1 alone nor logits."""
    if masks.dtype.kind != "f" or not masks.size or masks.min() < 0 or masks.max() > 1:
        return False
    return bool(((masks > 0) & (masks < 1)).any())
