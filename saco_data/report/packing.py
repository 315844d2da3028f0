"""Data inside a page: gzipped JSON as base64, which the page's own script unpacks."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

_HEADER = b"\x1f\x8b\x08" + bytes(6) + b"\xff"  # of gzip: deflate, no time, no system
_END = b"\x03\x00"  # an empty last block of deflate


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, and the same compressed so that it needs no other part."""

    text: bytes
    packed: bytes


def pack(content: Any) -> str:
    """Plain data as base64 of gzipped JSON; the same data give the same text."""
    return join([compress(dump(content))])


def dump(content: Any) -> str:
    """Plain data as JSON without spaces."""
    return json.dumps(content, separators=(",", ":"), ensure_ascii=False)


def compress(text: str) -> Piece:
    """A text as a piece: those that stay in the page are joined without compressing them again."""
    content = text.encode("utf-8", "replace")
    deflate = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    # To a whole byte, so that another piece can follow.
    return Piece(content, deflate.compress(content) + deflate.flush(zlib.Z_SYNC_FLUSH))


def join(pieces: Iterable[Piece]) -> str:
    """The texts of the pieces, one after the other, as base64 of one gzip stream."""
    checksum = size = 0
    stream = [_HEADER]
    for piece in pieces:
        checksum = zlib.crc32(piece.text, checksum)
        size += len(piece.text)
        stream.append(piece.packed)
    stream += [_END, struct.pack("<LL", checksum, size & 0xFFFFFFFF)]
    return base64.b64encode(b"".join(stream)).decode()
