"""The header of a gzip member: how long it is."""

from __future__ import annotations

MAGIC = b"\x1f\x8b\x08"
LIMIT = 64 << 10  # bytes of a header
TRAILER = 8  # bytes of checksum and length after the deflate data


def measure(data: memoryview | bytes) -> int | None:
    """The bytes of the header that `data` begins with; None if more of it must be read first.

    Raises ValueError for anything but a gzip header.
    """
    if bytes(data[:3]) != MAGIC[: len(data)]:
        raise ValueError("holds something else after the gzip data")
    if len(data) < 10:
        return None
    flags, length = data[3], 10
    if flags & 4:
        length = 12 + int.from_bytes(data[10:12], "little")
    for flag in (8, 16):  # name, comment: they end with a zero
        if flags & flag:
            end = bytes(data[length : LIMIT + length]).find(0)
            if end < 0 and len(data) > LIMIT + length:
                raise ValueError("has a damaged gzip header")
            if end < 0:
                return None
            length += end + 1
    length += 2 if flags & 2 else 0
    return length if length <= len(data) else None
