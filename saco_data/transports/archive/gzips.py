"""Inflates a gzip stream, and finds points where a later process can enter it.

Two libraries offer this: rapidgzip keeps its windows in memory until the whole file was read, and
indexed_gzip inflates at half the speed (both measured). So it is done here (see `seekpoint`): the
stream is inflated at full speed, and from time to time a seek point is searched for some 20 ms. A
point is the bit where a deflate block begins, and the 32 KiB of output before it.
"""

from __future__ import annotations

import struct
import time

from zlib_ng import zlib_ng

from saco_data.transports.archive import gzip_header
from saco_data.transports.archive.index import Entry, Index, Point
from saco_data.transports.archive.raw import Raw
from saco_data.transports.archive.safety import ArchiveDamaged
from saco_data.transports.archive.seekpoint import ERRORS, WINDOW, Inflater, enter, inflater, search
from saco_data.transports.archive.stream import Recorder, Stream

SLICE = 128 << 10  # bytes inflated at once: the output still fits the processor's cache
OUTPUT_LIMIT = 1 << 20  # bytes of output at once, however far the input expands
LEAST_SPACING = 16 << 20
MOST_POINTS = 1024  # of 32 KiB each: 32 MiB of index for an archive of any size
LEAST_SECONDS = 2.0
LOOKAHEAD = 512 << 10


class Gunzip(Stream):
    """The output of a gzip file, of one or several gzip members."""

    def __init__(self, raw: Raw, index: Index, recorder: Recorder | None = None) -> None:
        super().__init__(raw, index)
        self._recorder = recorder
        self._input = memoryview(b"")  # read from `raw`, not inflated yet
        self._inflate: Inflater | None = None
        self._began = False
        self._crc = 0
        self._length = 0
        self._produced = 0  # bytes of output so far, those in the buffer included
        self._recent = b""  # at least the last 32 KiB of it
        self._ready = b""  # output of a search, not returned yet
        self._point: Point | None = None
        self._saved_at = 0
        self._saved_time = time.monotonic()
        self._keeps = index.path is not None and raw.reader.seekable
        self._spacing = max(LEAST_SPACING, (raw.reader.size or 0) // MOST_POINTS)

    def save(self, position: int, *, now: bool = False) -> None:
        """Saves the index when a new seek point was found, or `now`."""
        if self._recorder:
            self._recorder.passed(position)
        if now or self._point:
            self.index.save(position, point=self._point)
            self._point = None

    def mark(self, entry: Entry) -> None:
        """Notes that a wanted member begins."""
        if self._recorder:
            self._recorder.mark(entry)

    def _more(self, hint: int) -> bytes:
        while True:
            if self._ready:
                output, self._ready = self._ready, b""
                return output
            if self._inflate and self._inflate.eof:
                self._end_member()
            if not self._inflate and not self._begin_member():
                return b""
            assert self._inflate
            try:
                if self._is_search_due():
                    self._search(self._inflate)
                elif output := self._advance(self._inflate):
                    return output
            except ERRORS as error:
                raise self._damaged(f"cannot be inflated ({error})") from None

    def _jump(self, offset: int) -> bool:
        found = self.index.nearest(offset)
        if (
            not found
            or found.offset <= self._produced
            or not self.raw.is_jump_cheaper(found.bit // 8 - self.raw.at)
        ):
            return False
        point = self.index.point(found)
        self.raw.jump(point.bit // 8)
        self._input = memoryview(b"")
        if not self._fill(1):
            raise self._damaged("ends within the gzip data", cut=True)
        self._inflate = enter(point.window, self._input[0], point.bit % 8)
        self._input = self._input[1:]
        self._crc, self._length, self._produced = point.crc, point.length, point.offset
        self._recent, self._ready, self._began = point.window, b"", True
        self._saved_at, self._saved_time = self.raw.at, time.monotonic()
        self.position = point.offset
        return True

    def _advance(self, inflate: Inflater) -> bytes:
        if not self._fill(1):
            raise self._damaged("ends within the gzip data", cut=True)
        given = self._input[:SLICE]
        output = inflate.decompress(given, OUTPUT_LIMIT)
        left = len(inflate.unused_data) if inflate.eof else len(inflate.unconsumed_tail)
        self._input = self._input[len(given) - left :]
        self._note(output)
        return output

    def _note(self, output: bytes) -> None:
        if self._recorder:
            self._recorder.add_output(output)
        self._crc = zlib_ng.crc32(output, self._crc)
        self._length += len(output)
        self._produced += len(output)
        self._recent = output if len(output) >= WINDOW else (self._recent + output)[-WINDOW:]

    def _is_search_due(self) -> bool:
        return (
            self._keeps
            and not self._point
            and self._produced >= self.index.next
            and self.raw.at - self._saved_at >= self._spacing
            and time.monotonic() - self._saved_time >= LEAST_SECONDS
        )

    def _search(self, inflate: Inflater) -> None:
        """Searches the next half MiB for a seek point, and inflates it."""
        self._saved_at, self._saved_time = self.raw.at, time.monotonic()
        if not self._fill(LOOKAHEAD):
            return
        base = self.raw.at - len(self._input)
        output, consumed, found = search(inflate, self._input, self._recent[-WINDOW:])
        self._input = self._input[consumed:]
        if found:
            before = output[: found.output]
            self._point = Point(
                offset=self._produced + found.output,
                bit=8 * base + found.bit,
                length=self._length + found.output,
                crc=zlib_ng.crc32(before, self._crc),
                window=(self._recent + before)[-WINDOW:],
            )
        self._note(output)
        self._ready = output

    def _begin_member(self) -> bool:
        """Reads a gzip header; False at the end of the file."""
        if self._began and not self._rest():
            return False
        self._began = True
        self._fill(10)
        try:
            while (length := gzip_header.measure(self._input)) is None:
                self._need(len(self._input) + 1)
        except ValueError as error:
            raise self._damaged(str(error)) from None
        self._input = self._input[length:]
        self._crc = self._length = 0
        if self._recorder:
            at = self.raw.at - len(self._input)
            self._inflate = self._recorder.inflater(at, self._produced)
        else:
            self._inflate = inflater()
        return True

    def _rest(self) -> bool:
        """Whether anything but zeros (padding, as on tapes) follows."""
        while self._fill(1):
            if self._input[0]:
                return True
            self._input = memoryview(bytes(self._input).lstrip(b"\0"))
        return False

    def _end_member(self) -> None:
        """Compares checksum and length with the gzip trailer. Raises ArchiveDamaged."""
        self._need(8)
        crc, length = struct.unpack("<II", self._input[:8])
        self._input = self._input[8:]
        self._inflate = None
        if crc != self._crc or length != self._length & 0xFFFFFFFF:
            raise self._damaged("does not fit its checksum")

    def _need(self, length: int) -> None:
        if not self._fill(length):
            raise self._damaged("ends within the gzip data", cut=True)

    def _fill(self, length: int) -> bool:
        """Makes at least `length` bytes of input ready; False where the file ends before."""
        while len(self._input) < length:
            piece = self.raw.read_piece()
            if not piece:
                return False
            if self._recorder:
                self._recorder.add_input(piece)
            self._input = memoryview(bytes(self._input) + piece if self._input else piece)
        return True

    def _damaged(self, what: str, cut: bool = False) -> ArchiveDamaged:
        return ArchiveDamaged(f"{what} (near byte {self.raw.at})", item=self.origin, cut=cut)
