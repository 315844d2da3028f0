"""Makes the rows of a seek index while an archive streams by, from what has arrived."""

from __future__ import annotations

import bisect
import hashlib

from saco_data.transports.archive.index import Entry
from saco_data.transports.archive.safety import refusal_of
from saco_data.transports.archive.seekpoint import WINDOW, Inflater
from saco_data.transports.seek_index.blocks import BlockInflater, Boundary
from saco_data.transports.seek_index.rows import (
    HEAD_LIMIT,
    LEAD_LIMIT,
    MEMBER_LIMIT,
    PACKED_LIMIT,
    Row,
)
from saco_data.transports.seek_index.window import find_needed

_KEPT = 32 << 20  # bytes of input and output that are kept; a larger member gets no row


class Recorder:
    """Follows the reading of one tar.gz from its first byte to its last.

    `rows`: what was found. `md5` of the whole archive, once it was read to its end; until then
    None, and the rows are of no use.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.md5: str | None = None
        self.read = 0  # bytes of the archive so far
        self._names: set[str] = set()
        self._entry: Entry | None = None
        self._boundaries: list[Boundary] = []
        self._input, self._input_at = bytearray(), 0
        self._output, self._output_at = bytearray(), 0

    def inflater(self, at: int, offset: int) -> Inflater:
        """The inflater of a gzip member: see `BlockInflater`."""
        return BlockInflater(self._boundaries, at, offset)

    def add_input(self, piece: bytes) -> None:
        """Takes in the next bytes of the archive."""
        self.read += len(piece)
        self._input += piece
        if len(self._input) + len(self._output) > _KEPT:
            self._entry = None
            self._forget(self._output_at + len(self._output))

    def add_output(self, piece: bytes) -> None:
        """Takes in the next bytes that were inflated."""
        self._output += piece

    def mark(self, entry: Entry) -> None:
        """A wanted member is being read; the first one of a name counts."""
        refused = entry.refusal or refusal_of(entry.name, entry.size)
        if not refused and entry.size <= MEMBER_LIMIT and entry.name not in self._names:
            self._names.add(entry.name)
            self._entry = entry

    def passed(self, position: int) -> None:
        """The next header begins at `position` of the tar: nothing before it is read again."""
        entry, self._entry = self._entry, None
        if entry and entry.data + entry.size <= self._output_at + len(self._output):
            row = self._row(entry)
            if row:
                self.rows.append(row)
        self._forget(position)

    def finish(self, md5: str) -> None:
        """The archive was read to its end, and has this md5."""
        self.md5 = md5

    def _row(self, entry: Entry) -> Row | None:
        place = self._last_before(entry.header)
        if place is None:
            return None
        block = self._boundaries[place]
        skip, head = entry.header - block.offset, entry.data - entry.header
        if block.offset < self._output_at or skip > LEAD_LIMIT or head > HEAD_LIMIT:
            return None
        data = bytes(self._input[block.bit // 8 - self._input_at :])
        expected = self._bytes(entry.header, entry.data + entry.size)
        window = self._bytes(max(self._output_at, block.offset - WINDOW), block.offset)
        needed = find_needed(data, block.bit % 8, window, skip, expected)
        if needed is None or needed[1] > PACKED_LIMIT:
            return None
        runs, packed = needed
        sha256 = hashlib.sha256(memoryview(expected)[head:]).hexdigest()
        return Row(entry.name, block.bit, packed, skip, head, entry.size, sha256, runs)

    def _bytes(self, start: int, stop: int) -> bytes:
        return bytes(self._output[start - self._output_at : stop - self._output_at])

    def _last_before(self, offset: int) -> int | None:
        place = bisect.bisect_right(self._boundaries, offset, key=lambda each: each.offset) - 1
        return place if place >= 0 else None

    def _forget(self, position: int) -> None:
        """Lets go of what no member that begins at `position` or later needs."""
        place = self._last_before(position)
        if place is None:
            return
        del self._boundaries[:place]
        first = self._boundaries[0]
        if (gap := first.bit // 8 - self._input_at) > 0:
            del self._input[:gap]
            self._input_at += gap
        if (gap := first.offset - WINDOW - self._output_at) > 0:
            del self._output[:gap]
            self._output_at += gap
