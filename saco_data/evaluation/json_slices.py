"""A large JSON array in slices of a megabyte, so that memory does not hold all of its objects.

A slice ends between two objects (`}, {`). Such a place may also lie inside a string or a nested
array: then the slice is not valid JSON, its decoding fails, and the reader takes the array whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

SLICE = 1 << 20  # bytes
_BETWEEN = re.compile(rb"\}\s*,\s*(?=\{)")
_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


class NotAnArray(ValueError):
    """The text does not begin and end as a JSON array does."""


def slices(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The array as several smaller arrays, each JSON text of its own.

    `read(n)` returns up to n more bytes, b"" at the end. Raises NotAnArray.
    """
    rest = read(SLICE).removeprefix(_BOM).lstrip(_SPACE)
    if not rest.startswith(b"["):
        raise NotAnArray("does not begin with `[`")
    rest = rest[1:]
    while block := read(SLICE):
        rest += block
        cut = _last_gap(rest)
        if cut is not None:
            yield b"[" + rest[: cut[0]] + b"]"
            rest = rest[cut[1] :]
    rest = rest.rstrip(_SPACE)
    if not rest.endswith(b"]"):
        raise NotAnArray("does not end with `]`")
    yield b"[" + rest


def reader_of(content: bytes | memoryview) -> Callable[[int], bytes]:
    """A `read` for bytes in memory."""
    view, at = memoryview(content), 0

    def read(size: int) -> bytes:
        nonlocal at
        block = bytes(view[at : at + size])
        at += len(block)
        return block

    return read


def _last_gap(text: bytes) -> tuple[int, int] | None:
    """Where the last complete object ends and the next begins."""
    end = len(text)
    while (end := text.rfind(b"}", 0, end)) >= 0:
        match = _BETWEEN.match(text, end)
        if match:
            return end + 1, match.end()
    return None
