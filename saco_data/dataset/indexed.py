"""The pairs of an annotation file without holding them: where each entry is in the file.

The largest file has 1.44 million entries, which as objects take a gigabyte. Here an entry is read
and decoded when it is asked for; only places, ids and picture numbers are held, 20 bytes each. The
index of a large file is remembered in the user's cache folder, so that it is read once.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import mmap
import os
import time
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import msgspec
import numpy as np
from numpy.typing import NDArray

from saco_data.dataset import raw_json
from saco_data.dataset.raw_json import Annotation, Pair
from saco_data.model.errors import AnnotationError, SacoError
from saco_data.model.version import __version__
from saco_data.storage import files, folders

REMEMBERED = 20_000_000  # bytes: smaller files are indexed at once
_FRESH = 2 * 10**9  # nanoseconds: a file this young may still change within the same clock tick
_MOST = 20  # indexes that are kept
_BLOCK = 1 << 16  # bytes that are read at a time
_SLICE = 4096  # entries whose places are looked up at a time
_BETWEEN = b" \t\r\n,"
_LARGEST = 1 << 62

Arrays = dict[str, NDArray[Any]]


class Unusual(ValueError):
    """A file that must be read as a whole: it needs repairs, or its ids are not whole numbers."""


class Indexed:
    """The pairs of a file in its order, and the annotations of each. Made by `read`."""

    def __init__(self, path: Path, file: io.BufferedReader, arrays: Arrays) -> None:
        self.path = path
        self._file = file
        self._arrays = arrays
        self._block: tuple[int, bytes] = (0, b"")
        self._pair = msgspec.json.Decoder(Pair)
        self._annotation = msgspec.json.Decoder(Annotation)
        self.pairs: Sequence[Pair] = _Pairs(self)
        ids, firsts, counts = np.unique(arrays["mask_of"], return_index=True, return_counts=True)
        ends = (firsts + counts).tolist()
        # The masks of each pair that has any, as positions from, to.
        self._masks: dict[Any, tuple[int, int]] = dict(
            zip(ids.tolist(), zip(firsts.tolist(), ends, strict=True), strict=True)
        )

    def __len__(self) -> int:
        return len(self._arrays["start"])

    def pair(self, position: int) -> Pair:
        """The pair at a position, from 0. Raises AnnotationError where the file was cut."""
        start, length = self._arrays["start"][position], self._arrays["length"][position]
        found: Pair = self._decoded(self._pair, int(start), int(length))
        return found

    def __iter__(self) -> Iterator[Pair]:
        for begin in range(0, len(self), _SLICE):
            chosen = slice(begin, begin + _SLICE)
            starts, lengths = (self._arrays[key][chosen].tolist() for key in ("start", "length"))
            for start, length in zip(starts, lengths, strict=True):
                yield self._decoded(self._pair, start, length)

    def of(self, pair: Pair) -> list[Annotation]:
        """The annotations of a pair; empty for a negative phrase."""
        if pair.id not in self._masks:
            return []
        first, end = self._masks[pair.id]
        starts, lengths = self._arrays["mask_start"], self._arrays["mask_length"]
        return [
            self._decoded(self._annotation, int(starts[at]), int(lengths[at]))
            for at in range(first, end)
        ]

    def pictures(self) -> Iterator[list[Pair]]:
        """The pairs of each picture, in the order of first appearance."""
        picture = self._arrays["picture"]
        order = np.argsort(picture, kind="stable")
        ends = np.flatnonzero(np.diff(picture[order])) + 1
        begin = 0
        for end in (*ends.tolist(), len(order)):
            if end > begin:
                yield [self.pair(at) for at in order[begin:end].tolist()]
            begin = end

    def _decoded(self, decoder: Any, start: int, length: int) -> Any:
        # Not mapped into memory: a file that is cut meanwhile would end the process.
        at, block = self._block
        if not at <= start <= start + length <= at + len(block):
            at, block = start, os.pread(self._file.fileno(), max(length, _BLOCK), start)
            self._block = (at, block)
        try:
            return decoder.decode(block[start - at : start - at + length])
        except msgspec.DecodeError as error:
            raise AnnotationError(
                "changed while it was read", item=str(self.path), remedy="Load it again"
            ) from error


class _Pairs(Sequence[Pair]):
    """The pairs as a sequence; each is decoded when it is asked for."""

    def __init__(self, indexed: Indexed) -> None:
        self._indexed = indexed

    def __len__(self) -> int:
        return len(self._indexed)

    def __iter__(self) -> Iterator[Pair]:
        return iter(self._indexed)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> list[Pair]: ...
    def __getitem__(self, index: int | slice) -> Pair | list[Pair]:
        if isinstance(index, slice):
            return [self._indexed.pair(at) for at in range(*index.indices(len(self)))]
        return self._indexed.pair(index)


def read(path: Path) -> Indexed:
    """The pairs of an annotation file. Raises Unusual for a file that `pairs.read` must read."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise Unusual from error
    status = os.fstat(file.fileno())
    stamp = [str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino]
    young = time.time_ns() - status.st_mtime_ns < _FRESH
    remembered = folder() / f"{_key(stamp)}.npz" if status.st_size >= REMEMBERED else None
    arrays = _load(remembered) if remembered and not young else None
    if arrays is None:
        arrays = _index(path, file)
        after = os.fstat(file.fileno())
        same = (after.st_size, after.st_mtime_ns) == (status.st_size, status.st_mtime_ns)
        if remembered and same and not young:
            _keep(remembered, arrays)
    return Indexed(path, file, arrays)


def folder() -> Path:
    """Where indexes are remembered: `$XDG_CACHE_HOME/saco-data/dataset`."""
    return folders.cache_folder("dataset")


def _index(path: Path, file: io.BufferedReader) -> Arrays:
    try:
        # Closed with its last view, which an error may still hold.
        return _index_content(path, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (ValueError, OSError, RecursionError, AnnotationError, OverflowError) as error:
        raise Unusual from error


def _index_content(path: Path, content: mmap.mmap) -> Arrays:
    members = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
    if not members.keys() >= {"images", "annotations"}:
        raise Unusual
    start, length, images = _places(content, members["images"])
    decode = msgspec.json.Decoder(Pair).decode
    names: dict[str, int] = {}
    picture = np.empty(len(images), np.int32)
    for at, raw in enumerate(images):
        pair = decode(raw)
        if type(pair.id) is not int or abs(pair.id) > _LARGEST:
            raise Unusual
        number = names.setdefault(pair.file_name, len(names))
        if number == len(names) - 1:
            raw_json.check_picture(pair, path)
        picture[at] = number
    del images
    mask_start, mask_length, masks = _places(content, members["annotations"])
    owner = msgspec.json.Decoder(Annotation).decode
    ids = [owner(raw).image_id for raw in masks]
    if not all(type(each) is int and abs(each) <= _LARGEST for each in ids):
        raise Unusual
    del masks, members
    mask_of = np.array(ids, np.int64)
    order = np.argsort(mask_of, kind="stable")  # the masks of a pair stay in file order
    return {
        "start": start,
        "length": length,
        "picture": picture,
        "mask_of": mask_of[order],
        "mask_start": mask_start[order],
        "mask_length": mask_length[order],
    }


def _places(
    content: mmap.mmap, value: msgspec.Raw
) -> tuple[NDArray[np.int64], NDArray[np.int32], list[msgspec.Raw]]:
    """Where the entries of a list are in the file: starts and lengths in bytes, and the entries."""
    entries = msgspec.json.decode(value, type=list[msgspec.Raw])
    whole = np.frombuffer(content, np.uint8)
    base = whole.__array_interface__["data"][0]
    at = np.frombuffer(value, np.uint8).__array_interface__["data"][0] - base + 1
    del whole
    start, length = np.empty(len(entries), np.int64), np.empty(len(entries), np.int32)
    for number, raw in enumerate(entries):
        while content[at] in _BETWEEN:
            at += 1
        size = memoryview(raw).nbytes
        start[number], length[number] = at, size
        at += size
    return start, length, entries


def _key(stamp: list[Any]) -> str:
    return hashlib.sha256(msgspec.json.encode([__version__, stamp])).hexdigest()


def _load(path: Path) -> Arrays | None:
    """A remembered index; None where there is none, or it is damaged."""
    damaged = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)
    with contextlib.suppress(*damaged), np.load(path) as found:
        arrays = {name: found[name] for name in found.files}
        if arrays.keys() == {"start", "length", "picture", "mask_of", "mask_start", "mask_length"}:
            return arrays
    return None


def _keep(path: Path, arrays: Arrays) -> None:
    """Remembers an index; the oldest of too many go. A folder that cannot be written is no loss."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    with contextlib.suppress(SacoError, OSError):
        files.write_atomic(path, buffer.getvalue())
        kept = sorted(path.parent.iterdir(), key=lambda each: each.stat().st_mtime)
        for each in kept[:-_MOST]:
            each.unlink(missing_ok=True)
