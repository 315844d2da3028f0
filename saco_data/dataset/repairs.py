"""Turns what Python's `json` writes or reads, and a little more, into valid JSON in UTF-8.

Each function appends what it changed to `repairs`, as the end of a sentence about the file.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

_BOM = b"\xef\xbb\xbf"
_SLICE = 1 << 20  # bytes
_LATIN_1 = "saco-latin-1"  # what codecs does with bytes that are not UTF-8
_NAN = re.compile(rb"NaN|Infinity")  # numbers that Python's `json` writes and JSON does not have
# An escape in a string; group 1 is half a surrogate pair, which stands for no character.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def as_utf8(content: bytes, repairs: list[str]) -> bytes:
    """The bytes without a byte order mark, those that are not UTF-8 taken as Latin-1."""
    if content.startswith(_BOM):
        content = content[len(_BOM) :]
        repairs.append("begins with a byte order mark, which is left out")
    if content.isascii():
        return content
    try:
        for _ in _texts(content, "strict"):
            pass
        return content
    except UnicodeDecodeError as error:
        first = content.find(error.object) + error.start
    text = b"".join(part.encode() for part in _texts(content, _LATIN_1))
    # Each such byte is one character of Latin-1 and two bytes of UTF-8.
    repairs.append(
        f"holds {len(text) - len(content)} × a byte that is not UTF-8, first at byte {first};"
        " read as Latin-1"
    )
    return text


def _texts(content: bytes, errors: str) -> Iterator[str]:
    """The decoded bytes in slices, so that memory stays bounded."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors)
    for at in range(0, len(content), _SLICE):
        yield decoder.decode(content[at : at + _SLICE], at + _SLICE >= len(content))


def _take_as_latin_1(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_LATIN_1, _take_as_latin_1)


def as_strict_json(text: bytes, repairs: list[str]) -> bytes:
    """The text without what Python's `json` reads and other readers refuse."""
    text, numbers = _replace(text, _outside_strings(text), b"null")
    if numbers:
        repairs.append(f"holds {numbers} × NaN or Infinity, which JSON lacks; read as null")
    halves = (match.span() for match in _ESCAPE.finditer(text) if match[1])
    text, count = _replace(text, halves, b"\\ufffd")
    if count:
        repairs.append(f"holds {count} × half a surrogate pair; read as U+FFFD")
    return text


def _outside_strings(text: bytes) -> Iterator[tuple[int, int]]:
    """Where NaN, Infinity and -Infinity are found outside of strings: (start, end)."""
    seen, in_string = 0, False
    for match in _NAN.finditer(text):
        start = match.start()
        quotes = _ESCAPE.sub(b"", text[seen:start]).count(b'"')
        seen, in_string = start, in_string ^ bool(quotes % 2)
        if not in_string:
            yield start - (text[start - 1 : start] == b"-"), match.end()


def _replace(text: bytes, spans: Iterable[tuple[int, int]], by: bytes) -> tuple[bytes, int]:
    """The text with other bytes at these places, and the number of places."""
    parts: list[bytes] = []
    done = 0
    for start, end in spans:
        parts += (text[done:start], by)
        done = end
    return b"".join([*parts, text[done:]]) if parts else text, len(parts) // 2
