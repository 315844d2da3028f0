"""Archives of photograph-like members, packed by several compressors."""

from __future__ import annotations

import gzip
import random
import subprocess
import zlib
from collections.abc import Callable

from zlib_ng import gzip_ng

PROFILE = random.Random(9).randbytes(1500)  # what all small pictures begin with


def photographs(count: int, size: int = 60_000, seed: int = 1) -> dict[str, bytes]:
    """Members of about `size` bytes that deflate gains a few per cent on."""
    draw = random.Random(seed)
    pool = bytes(draw.choices(range(256), weights=range(200, 456), k=size * 4))
    members = {}
    for number in range(count):
        length = draw.randrange(size // 2, size * 3 // 2)
        at = draw.randrange(len(pool) - length)
        salt = draw.randbytes(size // 4)
        content = PROFILE + salt + pool[at : at + length]
        members[f"train/species {number % 7}/{number:05d}.jpg"] = content
    return members


def _gnu(data: bytes) -> bytes:
    return subprocess.run(["gzip", "-6n"], input=data, capture_output=True, check=True).stdout


def _flushed(data: bytes) -> bytes:
    """In pieces that end at whole bytes, as pigz packs on several cores."""
    packer = zlib.compressobj(6, wbits=31)
    pieces = []
    for at in range(0, len(data), 128 << 10):
        pieces += [packer.compress(data[at : at + (128 << 10)]), packer.flush(zlib.Z_SYNC_FLUSH)]
    return b"".join([*pieces, packer.flush()])


def _members(data: bytes) -> bytes:
    """Several gzip members in one file, cut in the middle of the tar's members."""
    step = len(data) // 7 + 11
    return b"".join(gzip.compress(data[at : at + step], 6) for at in range(0, len(data), step))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gnu": _gnu,
    "python": lambda data: gzip.compress(data, 6, mtime=0),
    "zlib-ng": lambda data: bytes(gzip_ng.compress(data, 6)),  # type: ignore[no-untyped-call]
    "flushed": _flushed,
    "stored": lambda data: gzip.compress(data, 0, mtime=0),
    "members": _members,
}
