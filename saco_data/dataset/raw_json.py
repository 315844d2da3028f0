"""Annotation files as JSON: validated where the tool relies on it, raw bytes elsewhere.

The only reader of annotation files: planning, pruning, reports and `saco.load` all start here, so
that they accept the same files. Source: the SA-Co annotation format of the SAM 3 repository.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from saco_data.config.regular import require_regular
from saco_data.dataset.repairs import as_strict_json, as_utf8
from saco_data.model.errors import AnnotationError
from saco_data.model.records import MAX_PIXELS
from saco_data.model.words import plain
from saco_data.storage import untrusted_json

# No JPEG is longer or wider, in pixels.
MAX_SIDE = 65_500
AGAIN = "Download it again with `saco annotations`"
_CORRECT = "Correct the entry, or download the file again with `saco annotations`"
_NULL = msgspec.Raw(b"null")
# Control characters of C0 and C1, line separators, marks that change the direction of text, and
# halves of surrogate pairs.

Id = int | float | str  # 10 and 10.0 are the same id, "10" is another


class Pair(msgspec.Struct, gc=False):
    """An entry of `images`: an image-NP pair. `image_size` is [height, width] in pixels."""

    id: Id
    file_name: str
    width: int | float
    height: int | float
    text_input: msgspec.Raw = _NULL
    original_video: str | None = None
    global_frame_idx: int | float | None = None
    image_size: tuple[int | float, int | float] | None = None

    @property
    def phrase(self) -> str:
        """The noun phrase as it is written; "" where there is none."""
        text = value_of(self.text_input)
        return text if isinstance(text, str) else ""


class Annotation(msgspec.Struct, gc=False):
    """An entry of `annotations`: one mask of a pair. All but `image_id` is not yet decoded."""

    image_id: Id
    id: msgspec.Raw = _NULL
    area: msgspec.Raw = _NULL
    bbox: msgspec.Raw = _NULL
    segmentation: msgspec.Raw = _NULL


def value_of(raw: msgspec.Raw) -> Any:
    """What a raw value holds; None also for one that Python cannot hold."""
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        # Python also takes numbers that no float can hold.
        return untrusted_json.parse(bytes(raw))
    except ValueError:
        return None


_Entry = TypeVar("_Entry", Pair, Annotation)


@dataclass(frozen=True)
class Document:
    """An annotation file in memory: its top-level members as raw JSON, always valid and UTF-8.

    `repairs` says what had to be changed to make it so; empty for nearly every file.
    """

    path: Path
    content: bytes
    members: dict[str, msgspec.Raw]
    repairs: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """The sha256 of the file's own bytes."""
        return hashlib.sha256(self.content).hexdigest()

    def pairs(self) -> Iterator[tuple[msgspec.Raw, Pair]]:
        """Each entry of `images`, as it is written and decoded. Raises AnnotationError."""
        return self._entries("images", Pair)

    def annotations(self) -> Iterator[tuple[msgspec.Raw, Annotation]]:
        """Each entry of `annotations`, as it is written and decoded. Raises AnnotationError."""
        return self._entries("annotations", Annotation)

    def _entries(self, key: str, kind: type[_Entry]) -> Iterator[tuple[msgspec.Raw, _Entry]]:
        try:
            entries = msgspec.json.decode(self.members[key], type=list[msgspec.Raw])
        except msgspec.ValidationError as error:
            raise _invalid(self.path, key, error) from error
        except RecursionError as error:
            raise AnnotationError(
                f"{key} is nested too deep", item=str(self.path), remedy=AGAIN
            ) from error
        # One at a time: all entries decoded at once would take several times the file's size.
        decode = msgspec.json.Decoder(kind).decode
        number = 0
        try:
            for number, raw in enumerate(entries):  # noqa: B007 - for the message
                yield raw, decode(raw)
        except msgspec.ValidationError as error:
            raise _invalid(self.path, f"{key}[{number}]", error) from error
        except (msgspec.DecodeError, RecursionError) as error:
            raise AnnotationError(
                f"{key}[{number}] cannot be read ({error})", item=str(self.path), remedy=_CORRECT
            ) from error


def read(path: Path) -> Document:
    """Reads an annotation file. Raises AnnotationError where it is missing or is not JSON.

    Accepts what Python's `json` does and a little more: a byte order mark is left out, NaN and
    Infinity become null, half a surrogate pair becomes U+FFFD, bytes that are not UTF-8 are read
    as Latin-1.
    """
    content = _bytes_of(path)
    repairs: list[str] = []
    text = as_utf8(content, repairs)
    try:
        members = _split(text)
    except (msgspec.DecodeError, RecursionError) as error:
        text = as_strict_json(text, repairs)
        try:
            members = _split(text)
        except msgspec.ValidationError as wrong:
            raise _invalid(path, "", wrong) from error
        except (msgspec.DecodeError, RecursionError) as wrong:
            raise AnnotationError(
                f"is not whole JSON ({wrong})", item=str(path), remedy=AGAIN
            ) from wrong
    for key in ("images", "annotations"):
        if key not in members:
            raise AnnotationError(f"has no `{key}`", item=str(path), remedy=AGAIN)
    return Document(path, content, members, tuple(repairs))


def check_picture(pair: Pair, path: Path) -> None:
    """Raises AnnotationError where no picture has the size or frame number that a pair names."""
    for height, width in filter(None, ((pair.height, pair.width), pair.image_size)):
        is_possible = 0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE
        is_whole = is_possible and width == int(width) and height == int(height)
        if not (is_whole and width * height <= MAX_PIXELS):
            raise AnnotationError(
                f"image {plain(str(pair.id))} has the size {width} x {height}",
                item=str(path),
                remedy=_CORRECT,
            )
    frame = pair.global_frame_idx
    if frame is not None and frame != int(frame):
        raise AnnotationError(
            f"image {plain(str(pair.id))} has the frame number {frame}",
            item=str(path),
            remedy=_CORRECT,
        )


def _bytes_of(path: Path) -> bytes:
    try:
        require_regular(path)
        return path.read_bytes()
    except FileNotFoundError:
        raise AnnotationError(
            "the annotation file is missing",
            item=str(path),
            remedy="Get it with `saco annotations`, or correct path_annotations",
        ) from None
    except OSError as error:
        raise AnnotationError(
            f"cannot be read ({error.strerror})", item=str(path), remedy="Make it readable"
        ) from error


def _split(text: bytes) -> dict[str, msgspec.Raw]:
    return msgspec.json.decode(text, type=dict[str, msgspec.Raw])


def _invalid(path: Path, place: str, error: msgspec.ValidationError) -> AnnotationError:
    """msgspec's complaint with the place in the file."""
    said = str(error)
    if not place and "got `array`" in said:
        return AnnotationError(
            "is a list, as prediction files are, and no annotation file",
            item=str(path),
            remedy="Name the annotation file, or get it again with `saco annotations`",
        )
    what = said.replace("$", place) if "`$" in said else f"{said} - at `{place or 'the top'}`"
    return AnnotationError(what, item=str(path), remedy=_CORRECT)
