"""A file that is partly fetched: its bytes, and a note of which bytes are there.

`.<name>.part` holds the bytes at their final offsets; `.<name>.part.json` names the URL, the
version, and the ranges that are there. The note is written after the bytes are on disk, so a killed
process loses half a second of work at most.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import stat
from itertools import pairwise
from pathlib import Path

from saco_data.model.errors import DiskFull
from saco_data.storage import files
from saco_data.storage.disk_errors import explain_errors
from saco_data.transports.http.spans import Span, total
from saco_data.transports.http.version import Version


class Part:
    """The part of one file. The event loop changes `spans`; a thread does what touches the disk."""

    def __init__(self, target: Path, origin: str) -> None:
        name = target.name
        if len(os.fsencode(name)) > 200:  # the suffixes must still fit
            digest = hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
            name = os.fsencode(name)[:150].decode(errors="ignore") + digest
        self.target = target
        self.origin = origin
        self.path = target.with_name(f".{name}.part")
        self.note = target.with_name(f".{name}.part.json")
        self.version = Version()
        self.spans: list[Span] = []
        self.exists = False  # a note was found, usable or not
        self.resumed = False  # the note was usable
        self._file: int | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a file descriptor."""
        return self._file is not None

    @property
    def front(self) -> int:
        """How many bytes are there without a gap from the beginning."""
        return self.spans[0][1] if self.spans and self.spans[0][0] == 0 else 0

    def load(self, *, vouched: bool) -> None:
        """Continues the part of an earlier process, if it belongs to this URL and can be trusted.

        `vouched`: a digest will be compared, so a file without ETag or date may be resumed too.
        """
        try:
            # Most files have no note, and a failing `open` costs several times as much as `stat`.
            self.note.lstat()
            self.exists = True
            if _set_aside(self.note) or _set_aside(self.path):
                return
            note = json.loads(self.note.read_bytes())
            spans = [(int(start), int(stop)) for start, stop in note["spans"]]
            version = Version(str(note["etag"]), str(note["last_modified"]), note["size"])
            if (
                note["url"] == self.origin
                and _is_size(version.size)
                and (version.validator or vouched)
                and all(a < b for a, b in spans)
                and all(a[1] < b[0] for a, b in pairwise(spans))
                and (not spans or self.path.stat().st_size >= spans[-1][1])
                and (not spans or spans[0][0] >= 0)
                and (not spans or version.size is None or spans[-1][1] <= version.size)
            ):
                self.spans, self.version = spans, version
                self.resumed = bool(spans)
        except (OSError, ValueError, LookupError, TypeError, ArithmeticError, RecursionError):
            pass  # no note, or an unreadable one: start at the first byte

    def open(self) -> int:
        """The file descriptor, for reading and writing. Raises DiskFull or OutputError."""
        if self._file is None:
            with explain_errors(self.target):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                flags |= 0 if self.spans else os.O_TRUNC
                try:
                    self._file = os.open(self.path, flags, 0o666)
                except OSError:
                    if not _set_aside(self.path):
                        raise
                    self._file = os.open(self.path, flags, 0o666)
        return self._file

    def reserve(self, size: int) -> None:
        """Raises DiskFull if a file of `size` bytes cannot fit."""
        missing = size - total(self.spans)
        if missing > shutil.disk_usage(self.target.parent).free:
            raise DiskFull(
                f"{missing:,} bytes to come do not fit on the device",
                item=str(self.target),
                remedy="Free some space and run again",
            )

    def write(self, pieces: list[bytes], offset: int) -> None:
        """Writes `pieces` from byte `offset` on."""
        with explain_errors(self.target):
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    written = os.pwrite(self.open(), view, offset)
                    view, offset = view[written:], offset + written

    def save(self, spans: list[Span]) -> None:
        """Writes the note that `spans` are here, after their bytes are on disk."""
        sync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync
        sync(self.open())
        note = {
            "url": self.origin,
            "etag": self.version.etag,
            "last_modified": self.version.last_modified,
            "size": self.version.size,
            "spans": spans,
        }
        files.write_atomic(self.note, json.dumps(note).encode())

    def finish(self) -> None:
        """Gives the complete file its final name."""
        with explain_errors(self.target):
            self.open()  # an empty file has not been written to
            self.close()
            files.publish(self.path, self.target)
            self.note.unlink(missing_ok=True)

    def close(self) -> None:
        """Closes the file descriptor."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def discard(self) -> None:
        """Deletes bytes and note; the next `open` begins an empty file."""
        self.close()
        self.spans, self.resumed = [], False
        self.version = Version()
        for path in (self.note, self.path):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _set_aside(path: Path) -> bool:
    """Whether a folder, link, pipe or device was there and has another name now.

    Only a regular file is ours.
    """
    try:
        if stat.S_ISREG(path.lstat().st_mode):
            return False
    except FileNotFoundError:
        return False
    numbered = (path.with_name(f"{path.name}.aside-{number}") for number in itertools.count())
    path.rename(next(free for free in numbered if not os.path.lexists(free)))
    return True


def _is_size(value: object) -> bool:
    return value is None or (type(value) is int and value >= 0)
