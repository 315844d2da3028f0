"""The bytes of an archive file: front to back, with jumps where the server allows them."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from saco_data.transports.archive.safety import ArchiveDamaged
from saco_data.transports.base import RangeReader, Stopped

FIRST_WINDOW = 128 << 10
LAST_WINDOW = 64 << 20
LEAST_SKIP = 256 << 10
MOST_SKIP = 16 << 20


class Raw:
    """Reads a RangeReader from byte `at` on.

    `windowed`: asks for ranges, which grow while no jump comes, so that a jump wastes few bytes;
    otherwise one request reads to the end. `checksum`: md5 or sha256 that the whole file must have;
    `hashed`: without one, its md5 is wanted. `begun`: a stream from byte 0 that is already open.
    """

    def __init__(
        self,
        reader: RangeReader,
        *,
        windowed: bool,
        checksum: str | None = None,
        hashed: bool = False,
        begun: Iterator[bytes] | None = None,
        stop: threading.Event | None = None,
    ) -> None:
        self.reader = reader
        self.stop = stop
        self.at = 0
        self._windowed = windowed and reader.seekable
        self._window = FIRST_WINDOW
        self._stop: int | None = None
        self._pieces = begun
        self._digest = Digest(checksum) if checksum or hashed else None
        self._latency, self._seconds, self._bytes = 0.05, 1.0, 20e6

    def read_piece(self, hint: int = 0) -> bytes:
        """The next piece, of any length; b"" at the end. `hint`: bytes that will be needed.

        Raises ArchiveDamaged if the bytes end before the size that the server gave, Stopped once
        `stop` is set.
        """
        if self.stop is not None and self.stop.is_set():
            raise Stopped
        started = time.perf_counter()
        piece = b""
        opened = self._pieces is None
        if self._pieces is not None:
            piece = next(self._pieces, b"")
        while not piece and self.at != self.reader.size:
            if not opened and (self._stop is None or self.at != self._stop):
                break
            opened = True
            self._pieces = self.reader.stream(self.at, self._next_stop(hint))
            piece = next(self._pieces, b"")
            if not piece:
                break
        self._measure(time.perf_counter() - started, len(piece), opened)
        if not piece and self.reader.size not in (None, self.at):
            raise ArchiveDamaged(
                f"ends after {self.at} of {self.reader.size} bytes",
                item=self.reader.origin,
                cut=True,
            )
        self.at += len(piece)
        if self._digest:
            self._digest.update(piece)
        return piece

    def jump(self, at: int) -> None:
        """The next piece begins at byte `at`."""
        if at == self.at:
            return
        self.disconnect()
        self._window = FIRST_WINDOW
        self.at = at
        if self._digest:
            self._digest.close()
            self._digest = None

    def is_jump_cheaper(self, gap: int) -> bool:
        """Whether a new request takes less time than reading `gap` bytes."""
        if not self.reader.seekable:
            return False
        cost = self._latency * self._bytes / self._seconds
        return gap > min(max(cost, LEAST_SKIP), MOST_SKIP)

    def finish(self) -> None:
        """Raises ArchiveDamaged if all was read and the checksum is not the published one."""
        if self._digest and not self._digest.matches():
            raise ArchiveDamaged(
                f"the {self._digest.name} is not the published one",
                item=self.reader.origin,
                foreign=True,
            )

    def md5(self) -> str | None:
        """The md5 of the whole file, once all of it was read; None if not all of it was."""
        digest = self._digest
        return digest.value() if digest and digest.name == "md5" else None

    def disconnect(self) -> None:
        """Ends the current request."""
        close = getattr(self._pieces, "close", None)
        if close:
            close()
        self._pieces = None

    def close(self) -> None:
        """Ends the current request and the thread of the digest."""
        self.disconnect()
        if self._digest:
            self._digest.close()

    def _next_stop(self, hint: int) -> int | None:
        if not self._windowed:
            return None
        self._stop = self.at + max(self._window, hint)
        if self.reader.size is not None:
            self._stop = min(self._stop, self.reader.size)
        self._window = min(self._window * 2, LAST_WINDOW)
        return self._stop

    def _measure(self, seconds: float, length: int, opened: bool) -> None:
        if opened:
            self._latency = 0.7 * self._latency + 0.3 * seconds
        else:
            # Older measurements lose weight: the speed of a connection changes.
            self._seconds = 0.98 * self._seconds + seconds
            self._bytes = 0.98 * self._bytes + length


class Digest:
    """An md5 or sha256 (told by its length), one piece behind in a thread of its own.

    In line it would cost a third of the speed.
    """

    def __init__(self, expected: str | None) -> None:
        self._expected = expected.lower() if expected else None
        self.name = "sha256" if expected and len(expected) == 64 else "md5"
        self._digest = hashlib.new(self.name, usedforsecurity=False)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="digest")
        self._last: Future[None] | None = None

    def update(self, piece: bytes) -> None:
        """Adds a piece."""
        if self._last:
            self._last.result()
        self._last = self._pool.submit(self._digest.update, piece)

    def matches(self) -> bool:
        """Whether the digest of all pieces is the expected one, if one is expected."""
        return self._expected in (None, self.value())

    def value(self) -> str:
        """The digest of all pieces in hex digits."""
        self.close()
        return self._digest.hexdigest()

    def close(self) -> None:
        """Ends the thread."""
        self._pool.shutdown()
