"""SA-V's train annotations: the masklets of a video, and the file's own statistics as checksums.

Format: `<video>_manual.json` and `<video>_auto.json` of the published data set. Row i of `masklet`
belongs to frame 4 * i of the video, which has 24 frames a second; each row has a COCO RLE for every
object. An object that is not in a frame has an RLE of area 0, or null.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from saco_data.dataset.json_file import read_content
from saco_data.dataset.masks import LARGEST, DamagedMask, Mask, decode, measure_all, run_lengths
from saco_data.model.errors import AnnotationError
from saco_data.storage import untrusted_json

FRAMES_A_ROW = 4
_AGAIN = "Fetch the file again"


@dataclass(frozen=True)
class Statistics:
    """What a file says of one object, or what its masks say.

    `first_row`: the first row that shows the object. `changes`: how often it appears or disappears
    after that. `area`: mean pixels over the rows that show it; `share` of the frame. `rows`: how
    many the file has. None for an object without any mask.
    """

    first_row: int | None
    changes: int
    area: float | None
    share: float | None
    rows: int


@dataclass(frozen=True)
class Masklets:
    """The masklets of one video; see `read`.

    `kind` is "manual" or "auto", `frame_count` the number of frames of the video, `objects` the ids
    of its objects. Masks of several objects may overlap.
    """

    path: Path
    video: str
    kind: str
    width: int
    height: int
    frame_count: int
    objects: tuple[int, ...]
    _rows: tuple[tuple[Any, ...], ...] = field(repr=False)
    _said: tuple[Statistics, ...] = field(repr=False)

    @property
    def frames(self) -> list[int]:
        """The annotated frames, as indices of the video's frames."""
        return [row * FRAMES_A_ROW for row in range(len(self._rows))]

    def masks(self, frame: int) -> dict[int, Mask]:
        """The masks of an annotated frame by object, bool [height, width]; all False if absent.

        Raises AnnotationError for a damaged mask, KeyError for a frame without annotations.
        """
        row, rest = divmod(frame, FRAMES_A_ROW)
        if rest or not 0 <= row < len(self._rows):
            raise KeyError(frame)
        return {
            name: self._mask(row, name, entry)
            for name, entry in zip(self.objects, self._rows[row], strict=True)
        }

    def _mask(self, row: int, name: int, entry: Any) -> Mask:
        if entry is None:
            return np.zeros((self.height, self.width), bool)
        try:
            return decode(entry, self.width, self.height)
        except DamagedMask as error:
            raise self._damaged(row, name, error) from error

    def _damaged(self, row: int, name: int, error: DamagedMask) -> AnnotationError:
        what = f"object {name} in row {row}: {error}"
        return AnnotationError(what, item=str(self.path), remedy=_AGAIN)

    def areas(self) -> list[list[int]]:
        """The pixels of each mask by row and object, without decoding. Raises AnnotationError."""
        pixels = self.width * self.height
        present = [[entry is not None for entry in row] for row in self._rows]
        texts = [entry["counts"] for row in self._rows for entry in row if entry is not None]
        measured = measure_all(texts)
        if measured is not None and (measured[1] == pixels).all():
            next_area = iter(measured[0].tolist())
            return [[next(next_area) if is_here else 0 for is_here in row] for row in present]
        # Mask by mask: the first damaged one is named.
        found = []
        for number, row in enumerate(self._rows):
            found.append([0] * len(row))
            for at, entry in enumerate(row):
                if entry is None:
                    continue
                try:
                    runs = run_lengths(entry["counts"])
                    if sum(runs) != pixels:
                        raise DamagedMask(f"its RLE fills {sum(runs)} of {pixels} pixels")
                except DamagedMask as error:
                    raise self._damaged(number, self.objects[at], error) from error
                found[-1][at] = sum(runs[1::2])
        return found

    def statistics(self) -> dict[int, Statistics]:
        """The statistics of each object, from its masks. Raises AnnotationError."""
        columns: Iterator[tuple[int, ...]] = zip(*self.areas(), strict=True)
        return {
            name: _measure(column, self.width * self.height)
            for name, column in zip(self.objects, columns, strict=True)
        }

    def differences(self) -> list[str]:
        """Where the file's own statistics are not those of its masks: none in a sound file.

        Also names a number of rows that does not fit the number of frames.
        """
        found = []
        rows = math.ceil(self.frame_count / FRAMES_A_ROW)
        if rows != len(self._rows):
            found.append(f"{self.frame_count} frames need {rows} rows, it has {len(self._rows)}")
        for said, (name, real) in zip(self._said, self.statistics().items(), strict=True):
            for key in Statistics.__dataclass_fields__:
                before, now = getattr(said, key), getattr(real, key)
                # An object without masks may be described in any way.
                if now is not None and not _is_near(before, now):
                    found.append(f"object {name}: {key} is {now}, the file says {before}")
        return found


def _is_near(said: float | None, real: float) -> bool:
    # Some files are rounded to ten decimal places.
    return said is not None and math.isclose(said, real, rel_tol=1e-6, abs_tol=1e-9)


def _measure(areas: tuple[int, ...], pixels: int) -> Statistics:
    visible = [row for row, area in enumerate(areas) if area]
    if not visible:
        return Statistics(None, 0, None, None, len(areas))
    later = [area > 0 for area in areas[visible[0] :]]
    changes = sum(one != next_one for one, next_one in pairwise(later))
    area = sum(areas) / len(visible)
    return Statistics(visible[0], changes, area, area / pixels, len(areas))


def count_edited(content: bytes) -> int:
    """How many frames of its masklets were edited by hand, as a manual file says; 0 if not said."""
    try:
        given = msgspec.json.decode(content, type=_Edited).masklet_edited_frame_count
        return sum(int(each) for each in given or () if each is not None)
    except (msgspec.DecodeError, ValueError, OverflowError):
        return 0


class _Edited(msgspec.Struct):
    masklet_edited_frame_count: list[float | None] | None = None


def is_sav_json(content: object) -> bool:
    """Whether JSON has the shape of a file of SA-V's train split."""
    return isinstance(content, Mapping) and isinstance(content.get("masklet"), list)


def read(path: Path) -> Masklets:
    """The masklets of a file. Raises AnnotationError where it is not what SA-V has."""
    return parse(read_content(path), path)


def parse(content: bytes, path: Path) -> Masklets:
    """The masklets in the content of a file of this name. Raises AnnotationError as `read` does."""
    try:
        return _parse(path, untrusted_json.parse(content))
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise AnnotationError(
            f"is not a file of SA-V's train split ({type(error).__name__}: {error})",
            item=str(path),
            remedy=_AGAIN,
        ) from error


def _parse(path: Path, content: Any) -> Masklets:
    if not is_sav_json(content):
        raise ValueError("no list `masklet`")
    width, height = int(content["video_width"]), int(content["video_height"])
    if not 0 < width * height <= LARGEST:
        raise ValueError(f"its frames have {width} x {height} pixels")
    objects = tuple(int(each) for each in content["masklet_id"])
    if len(set(objects)) != len(objects):
        raise ValueError("an object id occurs twice")
    rows = tuple(tuple(row) for row in content["masklet"])
    for number, row in enumerate(rows):
        if len(row) != len(objects):
            raise ValueError(f"row {number} has {len(row)} masks for {len(objects)} objects")
        for entry in row:
            if entry is not None and list(entry["size"]) != [height, width]:
                raise ValueError(f"row {number} has a mask of the size {entry['size']}")
            if entry is not None and not isinstance(entry["counts"], str):
                raise ValueError(f"row {number} has a mask without compressed RLE")
    said = zip(
        content["masklet_first_appeared_frame"],
        content["masklet_visibility_changes"],
        content["masklet_size_abs"],
        content["masklet_size_rel"],
        content["masklet_frame_count"],
        strict=True,
    )
    statistics = tuple(Statistics(*each) for each in said)
    if len(statistics) != len(objects):
        raise ValueError("its statistics are not of all objects")
    kind = "auto" if path.stem.endswith("_auto") else "manual"
    frame_count = int(content["video_frame_count"])
    return Masklets(
        path, str(content["video_id"]), kind, width, height, frame_count, objects, rows, statistics
    )
