"""A large JSON array in slices of a megabyte, so that memory does not hold all of its objects.

A slice ends between two objects (`}, {`). Such a place may also lie inside a string or a nested
array: then the slice is not valid JSON, its decoding fails, and the reader takes the array whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

SLICE = 1 << 20  # bytes
_BETWEEN = re.compile(rb"\}\s*,\s*(?=\{)")
_OPEN, _CLOSE = b"[]"
_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"


class NotAnArray(ValueError):
    """The text does not begin and end as a JSON array does."""


def slices(read_into: Callable[[memoryview], int]) -> Iterator[memoryview]:
    """The array as several smaller arrays, each JSON text of its own.

    `read_into` fills a buffer and returns how many bytes it wrote, 0 at the end. Each array lies in
    one buffer, used again and again: it holds until the next one is asked for. Raises NotAnArray.
    """
    buffer = bytearray(2 * SLICE)
    size = _fill(buffer, 0, read_into)
    start = len(_BOM) if buffer.startswith(_BOM) else 0
    begin = buffer.find(b"[", start, size)  # the text to come: from its bracket to `size`
    if begin < 0 or buffer[start:begin].strip(_SPACE):
        raise NotAnArray("does not begin with `[`")
    while True:
        size -= begin
        buffer[:size] = buffer[begin : begin + size]
        begin = 0
        if len(buffer) - size < SLICE:
            buffer.extend(bytes(len(buffer)))  # a single object that is longer
        more = _fill(buffer, size, read_into)
        if not more:
            break
        size += more
        cut = _last_gap(buffer, size)
        if cut is not None:
            end, begin = cut
            buffer[end] = _CLOSE
            with memoryview(buffer)[: end + 1] as text:
                yield text
            begin -= 1
            buffer[begin] = _OPEN
    size = len(buffer[:size].rstrip(_SPACE))
    if not buffer.endswith(b"]", 0, size):
        raise NotAnArray("does not end with `]`")
    with memoryview(buffer)[:size] as text:
        yield text


def reader_of(content: bytes | memoryview) -> Callable[[memoryview], int]:
    """A `read_into` for bytes in memory."""
    view, at = memoryview(content), 0

    def read_into(target: memoryview) -> int:
        nonlocal at
        block = view[at : at + len(target)]
        target[: len(block)] = block
        at += len(block)
        return len(block)

    return read_into


def _fill(buffer: bytearray, size: int, read_into: Callable[[memoryview], int]) -> int:
    """Reads what comes after the first `size` bytes; how many bytes."""
    with memoryview(buffer)[size : size + SLICE] as free:
        return read_into(free)


def _last_gap(text: bytearray, size: int) -> tuple[int, int] | None:
    """Where the last complete object ends and the next begins."""
    end = size
    while (end := text.rfind(b"}", 0, end)) >= 0:
        match = _BETWEEN.match(text, end, size)
        if match:
            return end + 1, match.end()
    return None
