"""Sending a body: which bytes are asked for, how fast they go, how a connection breaks."""

from __future__ import annotations

import asyncio
import re
import socket
import struct
import time
from collections.abc import AsyncGenerator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

_PIECE = 1 << 18


def size_of(body: bytes | Path) -> int:
    """The length in bytes of a content or of a file."""
    return body.stat().st_size if isinstance(body, Path) else len(body)


def parse_range(
    headers: Mapping[str, str], size: int, etag: str, modified: float
) -> tuple[int, int] | None:
    """The (start, stop) that a Range header asks for; None: send everything."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("Range", ""))
    if match is None or match.groups() == ("", ""):
        return None
    if (condition := headers.get("If-Range")) is not None and condition != etag:
        try:
            if parsedate_to_datetime(condition).timestamp() != modified:
                return None
        except ValueError:
            return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size


async def read_paced(
    body: bytes | Path, start: int, stop: int, rate: int
) -> AsyncGenerator[bytes, None]:
    """The bytes from `start` to `stop` in pieces, at `rate` bytes a second (0: at once)."""
    piece = max(1, min(_PIECE, rate // 20)) if rate else _PIECE
    begun, sent = time.monotonic(), 0
    file = body.open("rb") if isinstance(body, Path) else None
    try:
        if file is not None:
            file.seek(start)
        while start + sent < stop:
            here = start + sent
            count = min(piece, stop - here)
            if isinstance(body, bytes):
                data = body[here : here + count]
            else:
                assert file is not None
                data = file.read(count)
            yield data
            sent += count
            if rate:
                await asyncio.sleep(max(0.0, begun + sent / rate - time.monotonic()))
    finally:
        if file is not None:
            file.close()


async def reset(transport: asyncio.Transport) -> None:
    """Resets a connection, after what was written to it has left."""
    while transport.get_write_buffer_size():  # an abort throws the send buffer away
        await asyncio.sleep(0.001)
    connection = transport.get_extra_info("socket")
    if connection is not None:
        # Lingering for zero seconds: closing then sends a reset, not a normal end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
