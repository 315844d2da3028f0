"""A local file as a RangeReader, so that archives on disk and on a server share their code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from saco_data.config.regular import require_regular
from saco_data.transports.archive.safety import PIECE


class LocalFile:
    """A RangeReader of a file on disk. `identity` changes with its size, time or inode."""

    seekable = True

    def __init__(self, path: Path) -> None:
        self.path = path
        require_regular(path)
        status = path.stat()
        self.size: int | None = status.st_size
        self.identity = f"{status.st_ino}-{status.st_size}-{status.st_mtime_ns}"
        self.origin = str(path)

    def stream(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes `start` to `stop` (exclusive; None: the end) in pieces of at most 1 MiB."""
        with self.path.open("rb", buffering=0) as file:
            file.seek(start)
            while stop is None or start < stop:
                piece = file.read(PIECE if stop is None else min(PIECE, stop - start))
                if not piece:
                    return
                start += len(piece)
                yield piece

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`; fewer only at the end of the file."""
        return b"".join(self.stream(start, start + length))
