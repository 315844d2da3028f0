"""Image-NP pairs with their masks, as reports, previews and `saco.load` need them: only read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from saco_data.dataset import raw_json
from saco_data.dataset.masks import DamagedMask, Mask, decode
from saco_data.dataset.raw_json import Annotation, Id, Pair, value_of
from saco_data.model.words import plain

__all__ = [
    "Annotation",
    "Pair",
    "Pairs",
    "area_of",
    "box_of",
    "decode_mask",
    "decode_masks",
    "name_of",
    "plain",
    "read",
]


@dataclass(frozen=True)
class Pairs:
    """All pairs of a file in its order, and the annotations of each by its id.

    `repairs` says what had to be changed to read the file; see `raw_json.Document`.
    """

    pairs: list[Pair]
    annotations: dict[Id, list[Annotation]]
    repairs: tuple[str, ...] = ()

    def by_file(self) -> dict[str, list[Pair]]:
        """The pairs of each file, in the order of the annotations."""
        files: dict[str, list[Pair]] = {}
        for pair in self.pairs:
            files.setdefault(pair.file_name, []).append(pair)
        return files

    def pictures(self) -> Iterator[list[Pair]]:
        """The pairs of each picture, in the order of first appearance."""
        return iter(self.by_file().values())

    def of(self, pair: Pair) -> list[Annotation]:
        """The annotations of a pair; empty for a negative phrase."""
        return self.annotations.get(pair.id, [])


def read(path: Path) -> Pairs:
    """The pairs of an annotation file. Accepts the files that `index.read` accepts.

    Raises AnnotationError.
    """
    document = raw_json.read(path)
    firsts: dict[str, Pair] = {}
    pairs: list[Pair] = []
    for _, pair in document.pairs():
        first = firsts.setdefault(pair.file_name, pair)
        if first is pair:
            raw_json.check_picture(pair, path)
        else:
            # One string for all pairs of a file saves 100 MB on the largest subset.
            pair.file_name = first.file_name
        pairs.append(pair)
    annotations: dict[Id, list[Annotation]] = {}
    for _, each in document.annotations():
        annotations.setdefault(each.image_id, []).append(each)
    return Pairs(pairs, annotations, document.repairs)


def decode_masks(pair: Pair, annotations: Sequence[Annotation]) -> tuple[list[Mask], list[str]]:
    """The masks of a pair, bool [height, width] each, and what is wrong with those left out."""
    masks: list[Mask] = []
    damaged: list[str] = []
    for each in annotations:
        try:
            masks.append(decode_mask(pair, each))
        except DamagedMask as error:
            damaged.append(f"annotation {name_of(each)}: {error}; skipped")
    return masks, damaged


def decode_mask(pair: Pair, annotation: Annotation) -> Mask:
    """The mask of an annotation as bool [height, width]. Raises DamagedMask."""
    return decode(value_of(annotation.segmentation), int(pair.width), int(pair.height))


def area_of(annotation: Annotation) -> float | None:
    """The annotated area as a part of the picture, 0 to 1; None where it makes no sense."""
    area = value_of(annotation.area)
    fits = isinstance(area, int | float) and 0 <= area <= 1
    return float(area) if fits else None


def box_of(annotation: Annotation) -> list[float] | None:
    """The annotated box as fractions of the picture: left, top, width, height; None without one."""
    box = value_of(annotation.bbox)
    if not isinstance(box, list) or len(box) != 4:
        return None
    fits = all(isinstance(each, int | float) and math.isfinite(each) for each in box)
    return [float(each) for each in box] if fits else None


def name_of(annotation: Annotation) -> str:
    """The id of an annotation, safe to print."""
    return plain(str(value_of(annotation.id)))
