"""One member out of a few bytes of the archive, checked against its row.

The header of the tar must name it and give its size, and its sha256 must be that of the row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from saco_data.transports.archive import gzip_header
from saco_data.transports.archive.safety import ArchiveDamaged
from saco_data.transports.archive.seekpoint import ERRORS, WINDOW, enter, inflater
from saco_data.transports.archive.stream import Stream
from saco_data.transports.archive.tars import next_entry
from saco_data.transports.seek_index.rows import Row

# What `inflate` raises where the data are damaged.
DAMAGE: tuple[type[Exception], ...] = (ValueError, *ERRORS)
_PIECE = 1 << 20  # bytes of output at once


class WrongMember(Exception):
    """The bytes at a place of the archive are not the member that the index names."""


def take_out(row: Row, data: bytes | memoryview) -> bytes:
    """The content of a member. `data`: the bytes of the archive that the row names.

    Raises WrongMember.
    """
    try:
        output, _ = inflate(
            data, row.bit % 8, fill_window(row.window), row.skip + row.head + row.size
        )
    except DAMAGE as error:
        raise WrongMember(f"cannot be inflated ({error})") from None
    _check_header(row, output[row.skip : row.skip + row.head])
    content = output[row.skip + row.head :]
    if hashlib.sha256(content).hexdigest() != row.sha256:
        raise WrongMember("its sha256 differs")
    return content


def fill_window(runs: Mapping[int, str]) -> bytes:
    """A window with these runs of hex digits, by position, and zeros elsewhere."""
    window = bytearray(WINDOW)
    for at, run in runs.items():
        window[at : at + len(run) // 2] = bytes.fromhex(run)
    return bytes(window)


def inflate(data: bytes | memoryview, bit: int, window: bytes, length: int) -> tuple[bytes, int]:
    """`length` bytes of output from bit `bit` of the first byte on, across gzip members.

    Also returns how many bytes of `data` that took. Raises ValueError where the data end before,
    and the errors of the inflater.
    """
    if not data:
        raise ValueError("there are no data")
    given = len(data)
    running = enter(window, data[0], bit)
    rest: bytes | memoryview = data[1:]
    pieces: list[bytes] = []
    while True:
        piece = running.decompress(rest, min(length, _PIECE))
        pieces.append(piece)
        length -= len(piece)
        rest = running.unused_data if running.eof else running.unconsumed_tail
        if not length:
            return b"".join(pieces), given - len(rest)
        if running.eof:
            rest = rest[gzip_header.TRAILER :]
            header = gzip_header.measure(rest)
            if header is None:
                raise ValueError("the data end too early")
            rest, running = rest[header:], inflater()
        elif not rest and not piece:
            raise ValueError("the data end too early")


def _check_header(row: Row, head: bytes) -> None:
    """Raises WrongMember unless `head` is the header, with its checksum, of the named member."""
    try:
        entry = next_entry(_Head(head))
    except ArchiveDamaged as error:
        raise WrongMember(f"has no header of a tar ({error.what})") from None
    if entry is None or (entry.name, entry.size, entry.data) != (row.name, row.size, row.head):
        raise WrongMember("another member is there")
    if entry.refusal:
        raise WrongMember(entry.refusal)


class _Head(Stream):
    """The headers of one member, already in memory."""

    def __init__(self, content: bytes) -> None:
        self.origin = "the archive"
        self.position = 0
        self.whole = None
        self._buffer = memoryview(content)

    def _more(self, hint: int) -> bytes:
        return b""

    def _jump(self, offset: int) -> bool:
        return False

    def save(self, position: int, *, now: bool = False) -> None:
        """Nothing to save."""
