"""The image-NPs of a ground truth: which are evaluated, their size, their picture or video."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from saco_data.evaluation.ids import Ids
from saco_data.evaluation.segmentations import Side
from saco_data.evaluation.truth_file import AGAIN, entries
from saco_data.model.errors import AnnotationError


class _Image(msgspec.Struct, gc=False):
    id: int
    is_instance_exhaustive: int | bool | None
    height: Side
    width: Side
    file_name: str = ""
    original_video: str | None = None


@dataclass
class Images:
    """Image-NPs by their position in `ids`.

    `entries`: position of each evaluated entry, in file order (an id that is written twice is
    evaluated twice). `is_evaluated`, `height`, `width` (pixels, -1: not known) and `unit` go by
    position; `unit` numbers the pictures or videos, `units` of them.
    """

    ids: Ids
    entries: NDArray[np.int64]
    is_evaluated: NDArray[np.bool_]
    height: NDArray[np.int32]
    width: NDArray[np.int32]
    unit: NDArray[np.int32]
    units: int
    unit_kind: str

    def size(self, position: int) -> tuple[int | None, int | None]:
        """Height and width of an image in pixels, None where the file does not say."""
        height, width = int(self.height[position]), int(self.width[position])
        return (height, width) if height >= 0 and width >= 0 else (None, None)

    def sizes(self, positions: list[int]) -> list[tuple[int, int]]:
        """Height and width of several images in pixels; -1 for what the file does not say."""
        at = np.array(positions, np.int64)
        return list(zip(self.height[at].tolist(), self.width[at].tolist(), strict=True))


def read(path: Path, raw: msgspec.Raw) -> Images:
    """The entries of `images`. Raises AnnotationError that names one."""
    ids: list[Any] = []
    flags: list[NDArray[np.bool_]] = []
    heights: list[NDArray[np.int32]] = []
    widths: list[NDArray[np.int32]] = []
    names: dict[str, int] = {}
    unit: list[int] = []
    videos = False
    for first, batch in entries(raw, _Image, path, "images"):
        images = batch
        if isinstance(batch[0], dict):
            images = [_image(path, first + at, each) for at, each in enumerate(batch)]
        ids.append(_as_array([each.id for each in images]))
        flags.append(np.array([bool(each.is_instance_exhaustive) for each in images]))
        heights.append(np.array([each.height for each in images], np.int32))
        widths.append(np.array([each.width for each in images], np.int32))
        videos = videos or any(each.original_video for each in images)
        # A picture without a name stands alone.
        unit += [
            names.setdefault(each.original_video or each.file_name or f"\0{at}", len(names))
            for at, each in enumerate(images, first)
        ]
    known: Any = [] if not ids else ids[0] if len(ids) == 1 else _joined(ids)
    found = Ids(known)
    of_entries = found.of_entries
    flag = np.concatenate(flags) if flags else np.zeros(0, bool)
    size = np.full((len(found), 2), -1, np.int32)
    units = np.zeros(len(found), np.int32)
    evaluated = np.zeros(len(found), bool)
    if len(of_entries):
        # Of an id that is written twice the last size counts.
        size[of_entries] = np.column_stack([np.concatenate(heights), np.concatenate(widths)])
        units[of_entries[::-1]] = np.array(unit, np.int32)[::-1]
        evaluated[of_entries[flag]] = True
    return Images(
        found,
        of_entries[flag],
        evaluated,
        size[:, 0],
        size[:, 1],
        units,
        len(names),
        "video" if videos else "picture",
    )


def _as_array(ids: list[Any]) -> Any:
    """Whole numbers as an array; other ids as they are."""
    if not all(type(each) is int for each in ids):
        return ids
    try:
        return np.array(ids, np.int64)
    except OverflowError:
        return ids


def _joined(parts: list[Any]) -> Any:
    if all(isinstance(each, np.ndarray) for each in parts):
        return np.concatenate(parts)
    return [each for part in parts for each in (part if isinstance(part, list) else part.tolist())]


def _image(path: Path, number: int, image: dict[str, Any]) -> Any:
    """An image of unusual form, with the attributes of `_Image`."""
    for key in ("id", "is_instance_exhaustive"):
        if key not in image:
            raise AnnotationError(f"images[{number}] has no {key}", item=str(path), remedy=AGAIN)
    size = [image.get(key) for key in ("height", "width")]
    known = all(isinstance(each, int | float) and 0 <= each < 1 << 31 for each in size)
    height, width = (int(each) for each in size) if known else (-1, -1)  # type: ignore[arg-type]
    if not isinstance(image["id"], int | float | str):
        raise AnnotationError(f"images[{number}] has no id", item=str(path), remedy=AGAIN)
    video = image.get("original_video")
    return _Unusual(
        image["id"],
        bool(image["is_instance_exhaustive"]),
        height,
        width,
        str(image.get("file_name", "")),
        video if isinstance(video, str) else None,
    )


@dataclass(frozen=True)
class _Unusual:
    id: Any
    is_instance_exhaustive: bool
    height: int
    width: int
    file_name: str
    original_video: str | None
