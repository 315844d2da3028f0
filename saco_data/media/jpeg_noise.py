"""Leaves out of a JPEG what holds no pixels, so that noise there is told from damage."""

from __future__ import annotations

_END, _SCAN = 0xD9, 0xDA
_ALONE = {0x01, 0xD8, *range(0xD0, 0xD8)}  # markers without a length
_NO_PIXELS = {0xFE, *range(0xE0, 0xF0)}  # comments and application data (EXIF, ICC...)


def without_noise(data: bytes | memoryview) -> bytes:
    """The JPEG without application data, bytes between segments, and padding before its end mark.

    What is left decodes to the same pixels. Raises ValueError where its structure is damaged.
    """
    data = bytes(data)
    parts = [data[:2]]
    at = 2
    while True:
        at, marker = _next_marker(data, at)
        if marker == _END:
            parts.append(b"\xff\xd9")
            return b"".join(parts)
        if marker in _ALONE:
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            raise ValueError("a segment goes beyond the end")
        if marker not in _NO_PIXELS:
            parts.append(bytes((0xFF, marker)) + data[at : at + length])
        at += length
        if marker == _SCAN:
            stop = _end_of_scan(data, at)
            coded = data[at:stop]
            if data[stop + 1] == _END:
                coded = _without_padding(coded)
            parts.append(coded)
            at = stop


def _next_marker(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the next segment begins, and its marker."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] not in (0x00, 0xFF):
            return at + 2, data[at + 1]
        at += 1
    raise ValueError("no end mark")


def _end_of_scan(data: bytes, at: int) -> int:
    """Where the coded data that begins at `at` is followed by a marker."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        if data[at + 1] not in (0x00, 0xFF, *range(0xD0, 0xD8)):
            return at
        at += 1
    raise ValueError("no end mark")


def _without_padding(coded: bytes) -> bytes:
    """Coded data without the same byte over and over at its end."""
    last = coded[-1:]
    return coded.rstrip(last) if last in (b"\x00", b"\xff") else coded
