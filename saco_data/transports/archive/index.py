"""The checkpoint file: where each member of a remote tar is, and where its gzip can be entered.

An append-only log of frames (length, crc32, content). A frame that a killed process left incomplete
is cut off when the file is opened next, so every append is all or nothing, and saving writes only
what is new. The first frame names the version of the archive. A later run goes straight to the
members that it misses, and continues the search for new ones where the last run stopped.
"""

from __future__ import annotations

import bisect
import contextlib
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from saco_data.storage.disk_errors import explain_errors

FORMAT = "saco-archive-index-1"
_HEAD = struct.Struct("<II")
_FRAME_LIMIT = 256 << 20


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """A member: offsets in the (uncompressed) tar of its first header block and of its content."""

    name: str
    header: int
    data: int
    size: int
    refusal: str = ""

    @property
    def end(self) -> int:
        """Where the next header begins. Only what holds content is padded to blocks of 512."""
        return self.data + (self.size + 511) // 512 * 512


class Point(msgspec.Struct, array_like=True, frozen=True):
    """A point where inflating can start: a deflate block begins at bit `bit` of the file.

    `offset`: bytes of output before it in the file, `length`: in this gzip member, whose crc32 so
    far is `crc`. `window`: the last 32 KiB of output.
    """

    offset: int
    bit: int
    length: int
    crc: int
    window: bytes


class _Batch(msgspec.Struct, array_like=True):
    entries: list[Entry]
    next: int  # where the first header that was not looked at begins
    complete: bool
    point: bytes  # a Point, packed apart: reading entries must not copy its window


@dataclass(frozen=True, slots=True)
class PointPlace:
    """Where in the index file (`start`, `length`) the point at `offset` and `bit` is stored."""

    offset: int
    bit: int
    start: int
    length: int


class Index:
    """The index of one archive; empty and not saved if `path` is None or `identity` is ""."""

    def __init__(self, path: Path | None, identity: str, size: int | None) -> None:
        self.path = path if identity else None
        self.next = 0
        self.complete = False
        self._places: list[PointPlace] = []
        self._pending: list[Entry] = []
        self._title = f"{FORMAT} {size} {identity}".encode()
        self._end = 0
        if self.path is not None:
            self._load(self.path)

    def entries(self, wanted: Callable[[str], bool]) -> list[Entry]:
        """The known members whose name is wanted, in archive order."""
        found: list[Entry] = []
        if self.path is not None and self._end:
            with self.path.open("rb") as file:
                for _, content in _frames(file):
                    found += [entry for entry in _batch(content).entries if wanted(entry.name)]
        return found

    def nearest(self, offset: int) -> PointPlace | None:
        """Where the last point at or before `offset` of the output is stored."""
        fitting = bisect.bisect_right(self._places, offset, key=lambda place: place.offset)
        return self._places[fitting - 1] if fitting else None

    def point(self, place: PointPlace) -> Point:
        """The point that is stored there."""
        assert self.path is not None
        with self.path.open("rb") as file:
            file.seek(place.start)
            content = file.read(place.length)
        return msgspec.msgpack.decode(_batch(content).point, type=Point)

    def add(self, entry: Entry) -> None:
        """Adds a member; `save` writes it."""
        if self.path is not None:
            self._pending.append(entry)

    def save(self, position: int, *, complete: bool = False, point: Point | None = None) -> None:
        """Appends what was added; the search for members will continue at `position`."""
        if self.path is None or (position == self.next and complete == self.complete and not point):
            return
        packed = msgspec.msgpack.encode(point) if point else b""
        batch = _Batch(self._pending, position, complete, packed)
        content = _pack(batch)
        with explain_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("r+b" if self._end else "wb") as file:
                if not self._end:
                    self._end = _append(file, 0, self._title)
                start = self._end + _HEAD.size
                self._end = _append(file, self._end, content)
                file.flush()
                os.fsync(file.fileno())
        if point:
            self._places.append(_place_of(point, start, content))
        self.next, self.complete, self._pending = position, complete, []

    def discard(self) -> None:
        """Deletes the index, because the bytes it was made from cannot be trusted."""
        if self.path is not None:
            with explain_errors(self.path):
                self.path.unlink(missing_ok=True)
        self.next, self.complete, self._end = 0, False, 0
        self._places, self._pending = [], []

    def _load(self, path: Path) -> None:
        with contextlib.suppress(FileNotFoundError), explain_errors(path), path.open("rb") as file:
            try:
                for start, content in _frames(file, self._title):
                    batch = _batch(content)
                    self.next, self.complete = batch.next, batch.complete
                    if batch.point:
                        point = msgspec.msgpack.decode(batch.point, type=Point)
                        self._places.append(_place_of(point, start, content))
                    self._end = start + len(content)
            except (msgspec.MsgspecError, zlib.error):
                self.next, self.complete, self._end, self._places = 0, False, 0, []


def _frames(file: BinaryIO, title: bytes | None = None) -> Iterator[tuple[int, bytes]]:
    """Start and content of each whole frame after the title, which must be `title` if given."""
    position = 0
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        length, crc = _HEAD.unpack(head)
        content = file.read(min(length, _FRAME_LIMIT))
        if len(content) != length or zlib.crc32(content) != crc:
            return
        if position:
            yield position + _HEAD.size, content
        elif title is not None and content != title:
            return
        position += _HEAD.size + length


def _place_of(point: Point, start: int, content: bytes) -> PointPlace:
    return PointPlace(point.offset, point.bit, start, len(content))


def _append(file: BinaryIO, at: int, content: bytes) -> int:
    """Writes a frame at `at`, cutting off anything after it; returns where it ends."""
    file.seek(at)
    file.truncate()
    file.write(_HEAD.pack(len(content), zlib.crc32(content)) + content)
    return file.tell()


def _pack(batch: _Batch) -> bytes:
    # Names compress well, the window does not.
    point, batch.point = batch.point, b""
    head = zlib.compress(msgspec.msgpack.encode(batch), 6)
    return _HEAD.pack(len(head), len(point)) + head + point


def _batch(content: bytes) -> _Batch:
    length, points = _HEAD.unpack_from(content)
    batch = msgspec.msgpack.decode(
        zlib.decompress(content[_HEAD.size : _HEAD.size + length]), type=_Batch
    )
    batch.point = content[_HEAD.size + length : _HEAD.size + length + points]
    return batch
