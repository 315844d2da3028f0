"""ETags of S3 objects as digests of their content."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping

_PIECE = 1 << 20
_SIMPLE = re.compile(r'"?([0-9a-f]{32})"?')
_MULTIPART = re.compile(r'"?[0-9a-f]{32}-\d+"?')


def is_digest(headers: Mapping[str, str]) -> bool:
    """Whether the ETag depends on the content alone: with keys of KMS or customers it does not."""
    by_kms = headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
    return not by_kms and "x-amz-server-side-encryption-customer-algorithm" not in headers


def md5_of(etag: str) -> bytes | None:
    """The md5 that an ETag is; None for an object uploaded in parts."""
    match = _SIMPLE.fullmatch(etag)
    return bytes.fromhex(match[1]) if match else None


def is_multipart(etag: str) -> bool:
    """Whether an object was uploaded in parts: then the ETag is the md5 of the parts' md5."""
    return _MULTIPART.fullmatch(etag) is not None


def multipart_etag(file: int, part_size: int) -> str:
    """The ETag (without quotes) of an open file that was uploaded in parts of `part_size` bytes."""
    size = os.fstat(file).st_size
    digests = []
    for start in range(0, size, part_size):
        digest = hashlib.md5(usedforsecurity=False)
        stop = min(start + part_size, size)
        for offset in range(start, stop, _PIECE):
            digest.update(os.pread(file, min(_PIECE, stop - offset), offset))
        digests.append(digest.digest())
    return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"
