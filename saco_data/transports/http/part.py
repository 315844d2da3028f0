"""The part of a file that is already here: its bytes, and a note of where they belong.

`.<name>.part` holds the bytes at their places, `.<name>.part.json` says of which URL and version
they are, and which are there. The note is always behind the bytes, never ahead of them, so a killed
process loses half a second of work at most.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from itertools import pairwise
from pathlib import Path

from saco_data.model.errors import DiskFull
from saco_data.storage import files
from saco_data.storage.disk_errors import explain_errors
from saco_data.transports.http.session import Version

Span = tuple[int, int]  # start, stop (exclusive)


def join(spans: list[Span], span: Span) -> list[Span]:
    """`spans` (sorted, apart) with `span` added."""
    start, stop = span
    apart = [one for one in spans if one[1] < start or one[0] > stop]
    for one in spans:
        if not (one[1] < start or one[0] > stop):
            start, stop = min(start, one[0]), max(stop, one[1])
    return sorted([*apart, (start, stop)])


def gap(spans: list[Span], size: int | None) -> tuple[int, int | None] | None:
    """The first range that `spans` lack of a file of `size` bytes; None if they lack nothing."""
    start = 0
    for one in spans:
        if one[0] > start:
            return start, one[0]
        start = one[1]
    return None if size is not None and start >= size else (start, size)


class Part:
    """The part of one file. `spans` belongs to the loop; what touches the disk, to a thread."""

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
        self.found = False  # something lies there, of use or not
        self._file: int | None = None

    @property
    def is_open(self) -> bool:
        return self._file is not None

    @property
    def front(self) -> int:
        """How many bytes are there from the beginning on."""
        return self.spans[0][1] if self.spans and self.spans[0][0] == 0 else 0

    def load(self, *, vouched: bool) -> None:
        """Takes up what an earlier process left, if it is of this URL and can be trusted.

        `vouched`: a digest will tell, so a file without ETag or date may be resumed too.
        """
        try:
            # Most files have none, and to open what is not there costs several times as much.
            self.note.stat()
            self.found = True
            note = json.loads(self.note.read_bytes())
            spans = [(int(start), int(stop)) for start, stop in note["spans"]]
            version = Version(str(note["etag"]), str(note["last_modified"]), note["size"])
            if (
                note["url"] == self.origin
                and isinstance(version.size, int | None)
                and (version.validator or vouched)
                and all(a < b for a, b in spans)
                and all(a[1] < b[0] for a, b in pairwise(spans))
                and (not spans or self.path.stat().st_size >= spans[-1][1])
                and (not spans or spans[0][0] >= 0)
            ):
                self.spans, self.version = spans, version
        except (OSError, ValueError, KeyError, TypeError):
            pass  # no note, or one that cannot be read: start anew

    def open(self) -> int:
        """The file descriptor, for reading and writing. Raises DiskFull or OutputError."""
        if self._file is None:
            with explain_errors(self.target):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
                self._file = os.open(self.path, flags | (0 if self.spans else os.O_TRUNC), 0o666)
        return self._file

    def reserve(self, size: int) -> None:
        """Raises DiskFull if a file of `size` bytes cannot fit."""
        here = sum(stop - start for start, stop in self.spans)
        if size - here > shutil.disk_usage(self.target.parent).free:
            raise DiskFull(
                f"{size - here:,} bytes to come do not fit on the device",
                item=str(self.target),
                remedy="Free some space and run again",
            )

    def write(self, pieces: list[bytes], place: int) -> None:
        """Writes `pieces` from byte `place` on."""
        with explain_errors(self.target):
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    done = os.pwrite(self.open(), view, place)
                    view, place = view[done:], place + done

    def save(self, spans: list[Span]) -> None:
        """Notes durably that `spans` are here."""
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
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def discard(self) -> None:
        """Forgets everything; the next `open` begins an empty file."""
        self.close()
        self.spans = []
        self.version = Version()
        for path in (self.note, self.path):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
