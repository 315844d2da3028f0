"""Phrases and masks of an annotation file, as pages and previews need them: read, never written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from saco_data.dataset.masks import DamagedMask, Mask, decode
from saco_data.model.errors import AnnotationError

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]+")


class Pair(msgspec.Struct, gc=False):
    """An image-phrase pair; sides in pixels."""

    id: int | str
    file_name: str
    width: int
    height: int
    text_input: str = ""

    @property
    def phrase(self) -> str:
        """The phrase, fit to be shown."""
        return plain(self.text_input)


class Annotation(msgspec.Struct, gc=False):
    """One mask of a pair, its segmentation not yet decoded. `area` as a part of the picture."""

    id: int | str
    image_id: int | str
    area: Any = None
    segmentation: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def part(self) -> float | None:
        """The area, if it makes sense."""
        fits = isinstance(self.area, int | float) and 0 <= self.area <= 1
        return float(self.area) if fits else None


class _File(msgspec.Struct):
    images: list[Pair]
    annotations: list[Annotation]


@dataclass(frozen=True)
class Pairs:
    """All pairs of a file in its order, and the masks of each by its id."""

    pairs: list[Pair]
    masks: dict[int | str, list[Annotation]]

    def by_file(self) -> dict[str, list[Pair]]:
        """The pairs of each file, in the order of the annotations."""
        files: dict[str, list[Pair]] = {}
        for pair in self.pairs:
            files.setdefault(pair.file_name, []).append(pair)
        return files

    def of(self, pair: Pair) -> list[Annotation]:
        """The masks of a pair; none for a negative phrase."""
        return self.masks.get(pair.id, [])


def read(path: Path) -> Pairs:
    """Reads an annotation file. Raises AnnotationError."""
    try:
        content = msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise AnnotationError(
            f"cannot be read ({error.strerror})",
            item=str(path),
            remedy="Get it with `saco annotations`, or correct path_annotations",
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise AnnotationError(
            f"is damaged ({error})",
            item=str(path),
            remedy="Download it again with `saco annotations`",
        ) from error
    masks: dict[int | str, list[Annotation]] = {}
    for each in content.annotations:
        masks.setdefault(each.image_id, []).append(each)
    return Pairs(content.images, masks)


def decoded(pair: Pair, annotations: list[Annotation]) -> tuple[list[Mask], list[str]]:
    """The masks of a pair, and what is wrong with those that had to be left out, by name."""
    masks: list[Mask] = []
    damaged: list[str] = []
    for each in annotations:
        try:
            segmentation = msgspec.json.decode(each.segmentation)
            masks.append(decode(segmentation, pair.width, pair.height))
        except (DamagedMask, msgspec.DecodeError, RecursionError) as error:
            damaged.append(f"annotation {plain(str(each.id))}: {error}; skipped")
    return masks, damaged


def plain(text: str) -> str:
    """Text from outside without what would hide, break or turn round a line of it."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
