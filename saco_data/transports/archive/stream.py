"""The bytes of a tar, read from a plain or a compressed file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

from saco_data.transports.archive.index import Entry, Index
from saco_data.transports.archive.raw import Raw
from saco_data.transports.archive.safety import ArchiveDamaged
from saco_data.transports.archive.seekpoint import Inflater

# Bytes of zeros that may follow the end mark; usually the file is filled up to 10 KiB.
PADDING = 4 << 20


class Recorder(Protocol):
    """What makes a seek index of a tar.gz that streams by: see `seek_index.recorder`."""

    def inflater(self, at: int, offset: int) -> Inflater:
        """The inflater for a gzip member whose data begin at byte `at` of the file."""

    def add_input(self, piece: bytes) -> None:
        """Takes in the next bytes of the file."""

    def add_output(self, piece: bytes) -> None:
        """Takes in the next bytes of output."""

    def mark(self, entry: Entry) -> None:
        """Notes that a wanted member begins."""

    def passed(self, position: int) -> None:
        """Notes that the next header begins at `position` of the output."""

    def finish(self, md5: str) -> None:
        """Notes that the whole file was read, and its md5."""


class Stream(ABC):
    """The tar, read front to back. `goto` moves forward, by a jump where that is cheaper."""

    def __init__(self, raw: Raw, index: Index) -> None:
        self.raw = raw
        self.index = index
        self.origin = raw.reader.origin
        self.position = 0
        self.whole: int | None = None  # bytes of output in all, where known beforehand
        self._buffer = memoryview(b"")

    @abstractmethod
    def _more(self, hint: int) -> bytes:
        """The next piece of output, b"" only at the end. `hint`: bytes that will be needed."""

    @abstractmethod
    def _jump(self, offset: int) -> bool:
        """Makes `_more` continue at `offset` or shortly before it, if that is cheaper.

        Sets `position`; returns whether it jumped.
        """

    @abstractmethod
    def save(self, position: int, *, now: bool = False) -> None:
        """Saves the index from time to time, or `now`; the next header is at `position`."""

    def mark(self, entry: Entry) -> None:  # noqa: B027 - most streams note nothing
        """Notes that a wanted member begins."""

    def pieces(self, length: int) -> Iterator[bytes]:
        """The next `length` bytes. Raises ArchiveDamaged where the archive ends before."""
        for view in self._views(length):
            yield bytes(view)

    def exactly(self, length: int) -> bytes:
        """The next `length` bytes in one piece."""
        return b"".join(self._views(length))

    def block(self) -> bytes:
        """The next 512 bytes; b"" at the very end."""
        if not self._buffer:
            self._buffer = memoryview(self._more(512))
        return self.exactly(512) if self._buffer else b""

    def goto(self, offset: int) -> None:
        """Moves forward to `offset`, which is never before `position`."""
        if offset - self.position > len(self._buffer) and self._jump(offset):
            self._buffer = memoryview(b"")
        for _ in self._views(offset - self.position):
            pass

    def finish(self) -> None:
        """Checks the rest of the file: after the end mark only a few zeros, and the right md5.

        Many zeros are space that a download reserved and did not fill. Raises ArchiveDamaged.
        """
        start = self.position
        while view := self._buffer or memoryview(self._more(0)):
            if any(view):
                raise ArchiveDamaged(
                    f"holds data after its end mark (byte {self.position})", item=self.origin
                )
            self.position += len(view)
            if self.position - start > PADDING:
                raise ArchiveDamaged(
                    f"holds nothing but zeros from byte {start}", item=self.origin, cut=True
                )
            self._buffer = memoryview(b"")
        self.raw.finish()

    def _views(self, length: int) -> Iterator[memoryview]:
        while length > 0:
            if not self._buffer:
                self._buffer = memoryview(self._more(length))
            if not self._buffer:
                raise ArchiveDamaged(
                    f"ends at byte {self.position}, in mid-member", item=self.origin, cut=True
                )
            view = self._buffer[:length]
            self._buffer = self._buffer[len(view) :]
            self.position += len(view)
            length -= len(view)
            yield view


class Plain(Stream):
    """An uncompressed tar."""

    SAVE_EVERY = 64 << 20

    def __init__(self, raw: Raw, index: Index) -> None:
        super().__init__(raw, index)
        self.whole = raw.reader.size

    def _more(self, hint: int) -> bytes:
        return self.raw.read_piece(hint)

    def _jump(self, offset: int) -> bool:
        size = self.raw.reader.size
        if size is not None and offset > size:
            raise ArchiveDamaged(
                f"ends after {size} bytes, in mid-member", item=self.origin, cut=True
            )
        if not self.raw.is_jump_cheaper(offset - self.raw.at):
            return False
        self.raw.jump(offset)
        self.position = offset
        return True

    def save(self, position: int, *, now: bool = False) -> None:
        """Saves every 64 MiB of archive."""
        if now or position - self.index.next >= self.SAVE_EVERY:
            self.index.save(position)
