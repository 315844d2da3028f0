"""The bytes of a tar, plain or inflated, as the tar reader wants them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from saco_data.transports.archive.index import Index
from saco_data.transports.archive.raw import Raw
from saco_data.transports.archive.safety import ArchiveDamaged

# Bytes of zeros that a writer of tapes may add; the usual one fills up to 10 KiB.
PADDING = 4 << 20


class Stream(ABC):
    """Output read front to back; `goto` moves on, by a jump where that is cheaper."""

    def __init__(self, raw: Raw, index: Index) -> None:
        self.raw = raw
        self.index = index
        self.origin = raw.place.origin
        self.position = 0
        self.whole: int | None = None  # bytes of output in all, where known beforehand
        self._buffer = memoryview(b"")

    @abstractmethod
    def _more(self, hint: int) -> bytes:
        """The next piece of output, b"" only at the end. `hint`: bytes that will be needed."""

    @abstractmethod
    def _jump(self, offset: int) -> bool:
        """Makes `_more` continue at `offset` or somewhat before it, if that pays.

        Sets `position`; returns whether it jumped.
        """

    @abstractmethod
    def save(self, position: int, *, now: bool = False) -> None:
        """Saves the index now and then, or now; the next header is at `position`."""

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
        """Moves on to `offset` of the output, which is never behind `position`."""
        if offset - self.position > len(self._buffer) and self._jump(offset):
            self._buffer = memoryview(b"")
        for _ in self._views(offset - self.position):
            pass

    def finish(self) -> None:
        """Reads what follows the end mark: a few zeros at most. Then what the container promises.

        Many zeros are room that a download reserved and did not fill.
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
        self.whole = raw.place.size

    def _more(self, hint: int) -> bytes:
        return self.raw.take(hint)

    def _jump(self, offset: int) -> bool:
        size = self.raw.place.size
        if size is not None and offset > size:
            raise ArchiveDamaged(
                f"ends after {size} bytes, in mid-member", item=self.origin, cut=True
            )
        if not self.raw.pays(offset - self.raw.at):
            return False
        self.raw.jump(offset)
        self.position = offset
        return True

    def save(self, position: int, *, now: bool = False) -> None:
        """Saves every 64 MiB of archive."""
        if now or position - self.index.next >= self.SAVE_EVERY:
            self.index.save(position)
