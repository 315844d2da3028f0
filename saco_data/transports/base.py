"""What archives ask of a transport: bytes of a remote file, from any place in it, until a stop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol


class Stopped(Exception):
    """The run is to end early; nothing is wrong, and what came so far is kept."""


class RangeReader(Protocol):
    """A file elsewhere that is read front to back, or (if `seekable`) from anywhere."""

    @property
    def size(self) -> int | None:
        """Bytes in all; None when the server does not say."""

    @property
    def seekable(self) -> bool:
        """Whether the server honours ranges. If not, only `stream(0)` is cheap."""

    @property
    def identity(self) -> str:
        """Names this very version of the file (strong ETag, else Last-Modified); "" unknown."""

    @property
    def origin(self) -> str:
        """Where it lies, without secrets."""

    def stream(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes `start` to `stop` (exclusive; None: the end), in pieces of at most 1 MiB.

        A dropped connection is resumed where it broke. Raises a typed error when the file changed,
        Stopped when it was opened with an event that is set.
        """

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`; fewer only at the end of the file."""
