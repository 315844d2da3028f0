"""A prediction file (COCO results): read once, checked entry by entry, grouped by image-NP.

Entries of the usual form are decoded with their type, a few megabytes at a time. A slice with any
other entry is read again as plain data, and each entry is looked at by itself.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from saco_data.evaluation import rle_check
from saco_data.evaluation.entry_check import Checker
from saco_data.evaluation.files import Elsewhere
from saco_data.evaluation.findings import Findings, PredictionError, refuse
from saco_data.evaluation.ground_truth import GroundTruth, Shape
from saco_data.evaluation.json_slices import NotAnArray, slices
from saco_data.evaluation.segmentations import Box, Rle
from saco_data.storage import untrusted_json

THRESHOLD = 0.5  # scores from here on count


class _Entry(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    score: float
    segmentation: Rle
    bbox: tuple[float, float, float, float] | msgspec.UnsetType = msgspec.UNSET


@dataclass
class Predicted:
    """What is predicted: (category, shape) of each counted entry by position of its image-NP.

    `predicted`: positions with any entry, whatever its score; `entries`: of the whole file.
    """

    shapes: dict[int, list[tuple[Any, Shape]]] = field(default_factory=dict)
    predicted: set[int] = field(default_factory=set)
    entries: int = 0
    dropped: int = 0
    findings: Findings = field(default_factory=Findings)


def read(
    path: Path,
    truths: list[GroundTruth],
    iou_type: str = "segm",
    *,
    lenient: bool = False,
    check: bool = True,
    elsewhere: Elsewhere | None = None,
) -> Predicted:
    """Reads and checks a prediction file for these ground truths (several: Gold).

    Raises PredictionError with all findings where an entry cannot be counted, unless `lenient`:
    then such entries are dropped, and boxes in pixels become fractions. `check=False` leaves out
    the check of the runs: only for files that are known to be whole. `elsewhere` says which subsets
    have image ids that the ground truths lack.
    """
    found = Predicted()
    checker = Checker(truths, iou_type, found.findings, lenient=lenient)
    categories = frozenset().union(*(truth.categories for truth in truths))
    reader = _Reader(found, checker, categories, lenient, check and iou_type == "segm")
    for first, batch in _batches(path):
        if batch and not isinstance(batch[0], _Entry):
            reader.take_unusual(first, batch)
        else:
            reader.take(first, batch)
        found.entries = first + len(batch)
    _name_owners(found.findings, elsewhere)
    if found.findings.errors and not lenient:
        raise refuse(path, found.findings.all())
    if len(categories) > 1:
        for group in found.shapes.values():
            group.sort(key=lambda each: each[0])
    return found


def _name_owners(findings: Findings, elsewhere: Elsewhere | None) -> None:
    for kind in ("text_id", "unknown_image"):
        finding = findings.get(kind)
        if finding is not None and elsewhere is not None:
            finding.note = elsewhere([_as_number(image) for _, image in finding.first])


def _as_number(image: Any) -> Any:
    try:
        return int(image)
    except (TypeError, ValueError, OverflowError):
        return image


@dataclass
class _Reader:
    found: Predicted
    checker: Checker
    categories: frozenset[Any]
    lenient: bool
    check: bool
    _seen: dict[int, dict[int, tuple[Any, ...] | set[Any]]] = field(default_factory=dict)

    def take(self, first: int, batch: list[_Entry]) -> None:
        """Entries of the usual form."""
        truth, add = self.checker.truth, self.found.findings.add
        positions = truth.ids.positions([each.image_id for each in batch])
        evaluated = ((positions >= 0) & truth.is_evaluated[positions]).tolist()
        boxes = self.checker.boxes
        kept: list[tuple[int, _Entry, int]] = []
        is_placed, categories = self.checker.is_placed, self.categories
        for number, each, at, counts in zip(
            itertools.count(first), batch, positions.tolist(), evaluated, strict=False
        ):
            if not counts:
                add("unknown_image" if at < 0 else "left_out", number, each.image_id)
            elif not is_placed(number, each.image_id, at, each.bbox is not msgspec.UNSET):
                self.found.dropped += 1
            elif each.category_id not in categories:
                add("unknown_category", number, each.image_id)
                self.found.predicted.add(at)
            else:
                kept.append((number, each, at))
        good = self._whole(kept) if self.check else [True] * len(kept)
        sizes = truth.sizes([at for _, _, at in kept])
        for (number, each, at), whole, size in zip(kept, good, sizes, strict=True):
            if not whole:
                self.found.dropped += 1
                continue
            self.found.predicted.add(at)
            rle = each.segmentation
            if each.score > 1:
                add("large_score", number, each.image_id)
            shape: Shape = rle
            if boxes:
                box = None if each.bbox is msgspec.UNSET else each.bbox
                shape = self.checker.box(number, each.image_id, at, box, rle)
            elif rle["size"] != size or not rle["counts"]:
                self.checker.look_at_size(number, each.image_id, at, rle)
            self._keep(number, each.image_id, at, each.category_id, each.score, shape)

    def _whole(self, kept: list[tuple[int, _Entry, int]]) -> list[bool]:
        masks = [each.segmentation for _, each, _ in kept]
        pixels = [math.prod(each["size"]) for each in masks]
        verdicts = rle_check.check([each["counts"] for each in masks], pixels)
        for at in np.flatnonzero(verdicts):
            number, entry, _ = kept[at]
            note = f"The first: {rle_check.WORDS[int(verdicts[at])]}"
            self.found.findings.add("broken_rle", number, entry.image_id, note)
        return [not each for each in verdicts.tolist()]

    def take_unusual(self, first: int, batch: list[Any]) -> None:
        """Entries as plain data, each looked at by itself."""
        for number, each in enumerate(batch, first):
            taken = self.checker.entry(number, each)
            if taken is None:
                continue
            at, category, score, shape = taken
            if shape is None:
                self.found.dropped += 1
                continue
            self.found.predicted.add(at)
            self._keep(number, each["image_id"], at, category, score, shape)

    def _keep(
        self, number: int, image: Any, at: int, category: Any, score: float, shape: Shape
    ) -> None:
        if not score >= THRESHOLD:  # nor is NaN
            return
        group = self.found.shapes.setdefault(at, [])
        if group:
            seen = self._seen.setdefault(at, {})
            if not seen:
                self._is_new(seen, *group[0])
            if not self._is_new(seen, category, shape):
                self.found.findings.add("duplicate", number, image)
        group.append((category, shape))

    @staticmethod
    def _is_new(seen: dict[int, tuple[Any, ...] | set[Any]], category: Any, shape: Shape) -> bool:
        """Whether no equal entry was seen. A whole mask is hashed only if another ends as it."""
        mine: tuple[Any, ...] = (category, shape)
        end = mine
        if isinstance(shape, dict):
            mine = (category, shape["size"], shape["counts"])
            end = (category, shape["size"], shape["counts"][-24:])
        others = seen.setdefault(hash(end), mine)
        if others is mine:
            return True
        if not isinstance(others, set):
            seen[hash(end)] = others = {others}
        if mine in others:
            return False
        others.add(mine)
        return True


def _batches(path: Path) -> Iterator[tuple[int, list[Any]]]:
    """(position of the first, entries), as `_Entry` or, where one is unusual, as plain data."""
    decoder = msgspec.json.Decoder(list[_Entry])
    first = 0
    try:
        with path.open("rb") as file:
            for text in slices(file.readinto):
                yield first, (entries := _decoded(text, decoder.decode))
                first += len(entries)
        return
    except OSError as error:
        raise PredictionError(
            f"cannot be read ({error.strerror})", item=str(path), remedy="Name a prediction file"
        ) from error
    except (NotAnArray, ValueError):
        whole = _whole_file(path)
    if not isinstance(whole, list):
        raise PredictionError(
            f"is not a list but {_name(whole)}",
            item=str(path),
            remedy="Write a COCO result file: a list of objects, one for each mask",
        )
    yield first, whole[first:]


def _decoded(text: memoryview, decode: Callable[[memoryview], list[_Entry]]) -> list[Any]:
    try:
        return decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # Python also takes NaN and Infinity.
        entries: list[Any] = untrusted_json.parse(bytes(text))
        return entries


def _whole_file(path: Path) -> Any:
    try:
        return untrusted_json.parse(path.read_bytes())
    except ValueError as error:
        where = str(error)
        if isinstance(error, json.JSONDecodeError) and error.msg == "Extra data":
            where = f"{where}; one object a line is not a list"
        raise PredictionError(
            f"is not whole JSON ({where})",
            item=str(path),
            remedy="Write the file again: a list of objects, one for each mask",
        ) from error


def _name(value: Any) -> str:
    names = {dict: "an object", str: "a text", bool: "a truth value", type(None): "null"}
    return names.get(type(value), "a number")


__all__ = ["Box", "Predicted", "read"]
