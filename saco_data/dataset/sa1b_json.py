"""SA-1B's annotations: the masks of one picture, without classes.

Format: `sa_<number>.json` of the published data set: `image` {image_id, width, height, file_name}
and `annotations`, each with its mask as compressed RLE of COCO.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saco_data.dataset.json_file import read_content
from saco_data.dataset.masks import LARGEST, DamagedMask, Mask, decode, measure_all, run_lengths
from saco_data.model.errors import AnnotationError
from saco_data.storage import untrusted_json

_AGAIN = "Fetch the file again"


@dataclass(frozen=True)
class SegmentedMask:
    """One mask of a picture, decoded when asked, and what the release says of it.

    `box` and `crop_box`: x, y, width, height in pixels. `area` in pixels. `predicted_iou` and
    `stability_score`: how good the model that drew it took it to be. `points`: the x, y in pixels
    that it was drawn for.
    """

    id: int
    box: tuple[float, ...]
    area: float
    predicted_iou: float
    stability_score: float
    crop_box: tuple[float, ...]
    points: tuple[tuple[float, ...], ...]
    _segmentation: Any = field(repr=False)
    _size: tuple[int, int] = field(repr=False)
    _path: Path = field(repr=False)

    @property
    def rle(self) -> dict[str, Any]:
        """The mask as compressed RLE: `size` is [height, width], `counts` text."""
        return {"size": list(self._segmentation["size"]), "counts": self._segmentation["counts"]}

    @property
    def mask(self) -> Mask:
        """The mask as bool [height, width]. Raises AnnotationError where it is damaged."""
        try:
            return decode(self._segmentation, *self._size)
        except DamagedMask as error:
            what = f"mask {self.id}: {error}"
            raise AnnotationError(what, item=str(self._path), remedy=_AGAIN) from error


@dataclass(frozen=True)
class Annotations:
    """The masks of one picture; see `read`. Sizes in pixels."""

    path: Path
    image_id: int
    file_name: str
    width: int
    height: int
    masks: tuple[SegmentedMask, ...] = field(repr=False)

    def find_damage(self) -> str:
        """What is wrong with the first damaged mask; "" where all fill the picture exactly."""
        if not self.masks:
            return ""
        pixels = self.width * self.height
        texts = [each.rle["counts"] for each in self.masks]
        measured = measure_all(texts)
        if measured is not None and (measured[1] == pixels).all():
            return ""
        return next(self._find_damages(), "")

    def _find_damages(self) -> Iterator[str]:
        pixels = self.width * self.height
        for each in self.masks:
            try:
                filled = sum(run_lengths(each.rle["counts"]))
            except DamagedMask as error:
                yield f"mask {each.id}: {error}"
                continue
            if filled != pixels:
                yield f"mask {each.id}: its RLE fills {filled} of {pixels} pixels"


def read(path: Path) -> Annotations:
    """The annotations in a file. Raises AnnotationError where it is not what SA-1B has."""
    return parse(read_content(path), path)


def parse(content: bytes, path: Path) -> Annotations:
    """The annotations in the content of a file of this name. Raises AnnotationError."""
    try:
        return _parse(path, untrusted_json.parse(content))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError) as error:
        raise AnnotationError(
            f"is not a file of SA-1B ({type(error).__name__}: {error})",
            item=str(path),
            remedy=_AGAIN,
        ) from error


def _parse(path: Path, content: Any) -> Annotations:
    image, given = content["image"], content["annotations"]
    if not isinstance(given, list):
        raise TypeError("`annotations` is not a list")
    width, height = _whole(image["width"]), _whole(image["height"])
    if not (width > 0 and height > 0 and width * height <= LARGEST):
        raise ValueError(f"its picture has {width} x {height} pixels")
    name = str(image["file_name"])
    if name != f"{path.stem}.jpg":
        raise ValueError(f"it is of the picture {name!r:.60}")
    masks = []
    for each in given:
        segmentation = each["segmentation"]
        if list(segmentation["size"]) != [height, width]:
            raise ValueError(f"mask {each['id']} is of the size {segmentation['size']!r:.60}")
        if not isinstance(segmentation["counts"], str):
            raise TypeError(f"mask {each['id']} has no compressed RLE")
        masks.append(
            SegmentedMask(
                _whole(each["id"]),
                _numbers(each["bbox"]),
                float(each["area"]),
                float(each["predicted_iou"]),
                float(each["stability_score"]),
                _numbers(each["crop_box"]),
                tuple(_numbers(point) for point in each["point_coords"]),
                segmentation,
                (width, height),
                path,
            )
        )
    return Annotations(path, _whole(image["image_id"]), name, width, height, tuple(masks))


def _whole(value: Any) -> int:
    if int(value) != value:
        raise ValueError(f"{value!r:.40} is not a whole number")
    return int(value)


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
