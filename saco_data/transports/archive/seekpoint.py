"""Places in a deflate stream where a fresh inflater can begin, found without help from the library.

zlib can stop at block boundaries (Z_BLOCK) and begin at any bit (inflatePrime); Python offers
neither. Both can be had:

- Finding. Fed byte by byte, an inflater gives output for almost every byte, except while it reads a
  block's header: that is at least four bytes long. The few bits before such a silence are tried;
  the right one inflates what follows to what the running inflater made of it.
- Entering. A fresh inflater takes the 32 KiB before the point as its dictionary. To begin at bit k
  of a byte it is first fed k bits (mod 8) of empty blocks.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Protocol

# On photographs 1.2 to 2 times as fast as zlib and isal.
from zlib_ng import zlib_ng as engine

WINDOW = 32 << 10
# Its stubs call the error class an instance.
ERRORS: tuple[type[Exception], ...] = (zlib.error, engine.error)  # type: ignore[assignment]
PROBE = 256 << 10  # bytes of input in which a boundary is looked for
PROOF = 128 << 10  # bytes of input after it that must inflate alike: more than any stored block
OUTPUT_LIMIT = 8 << 20  # a search that expands to more than this is given up
SILENCE = 4
FIXED = (0b0000000_01_0, 10)  # an empty block of 10 bits
# An empty dynamic block of 95 bits: code lengths 1, 255 x 0, 1 | 1, 1 by the codes 1 -> 0, 18 -> 1.
_PARTS = [(0, 1), (2, 2), (0, 5), (1, 5), (15, 4)]
_PARTS += [
    (1 if symbol in (18, 1) else 0, 3)
    for symbol in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
]
_PARTS += [(0, 1), (1, 1), (127, 7), (1, 1), (106, 7), (0, 1), (0, 1), (0, 1), (1, 1)]


class Inflater(Protocol):
    """zlib's decompression object, as far as it is needed here."""

    eof: bool
    unconsumed_tail: bytes
    unused_data: bytes

    def decompress(self, data: bytes | memoryview, max_length: int, /) -> bytes:
        """At most `max_length` bytes of output."""


@dataclass(frozen=True, slots=True)
class Found:
    """A block begins at bit `bit` of the input searched, after `output` bytes of its output."""

    bit: int
    output: int


def inflater(window: bytes = b"") -> Inflater:
    """A fresh inflater of raw deflate data that follows `window`."""
    made: Inflater = (
        engine.decompressobj(wbits=-15, zdict=window) if window else engine.decompressobj(wbits=-15)
    )
    return made


def enter(window: bytes, first: int, bit: int) -> Inflater:
    """An inflater that has read the input byte `first` from its bit `bit` (0 to 7) on."""
    made = inflater(window)
    filler, length = _filler(bit)
    value = filler | (first >> bit) << length
    made.decompress(value.to_bytes((length + 8 - bit) // 8, "little"), 1)
    return made


def search(running: Inflater, data: memoryview, recent: bytes) -> tuple[bytes, int, Found | None]:
    """Feeds `data` to the running inflater and finds a place to enter in it.

    `recent`: its last 32 KiB of output. Returns the output, how much of `data` was consumed, and
    what was found (None: no matter, try again later).
    """
    outputs: list[bytes] = []
    total = silence = 0
    last = last_total = -1
    found: Found | None = None
    at = 0
    while at < min(PROBE, len(data)) and total < OUTPUT_LIMIT and not running.eof:
        output = running.decompress(data[at : at + 1], 512)
        while running.unconsumed_tail:
            output += running.decompress(running.unconsumed_tail, OUTPUT_LIMIT)
        at += 1
        if not output:
            silence += 1
            continue
        outputs.append(output)
        total += len(output)
        if silence >= SILENCE and last >= 0:
            break
        silence, last, last_total = 0, at - 1, total
    else:
        return b"".join(outputs), at - len(running.unused_data), None
    proof = data[at : at + PROOF]
    outputs.append(running.decompress(proof, OUTPUT_LIMIT))
    rest = running.unconsumed_tail or running.unused_data
    at += len(proof) - len(rest)
    joined = b"".join(outputs)
    if len(proof) == PROOF and not rest and not running.eof:
        window = (recent + joined[:last_total])[-WINDOW:]
        bit = _first_fitting(window, data[:at], last, joined[last_total:])
        found = None if bit is None else Found(bit, last_total)
    return joined, at, found


def _first_fitting(window: bytes, data: memoryview, last: int, expected: bytes) -> int | None:
    """The bit at which a block begins that inflates to what was seen.

    The output before it ended in byte `last`; an end-of-block code of up to 15 bits may follow.
    Backwards: of a stored block's padding any bit will do, but none before its header.
    """
    for bit in range(8 * last + 24, 8 * last, -1):
        try:
            tried = enter(window, data[bit // 8], bit % 8)
            if tried.decompress(data[bit // 8 + 1 :], len(expected) + 1) == expected:
                return bit
        except ERRORS:
            continue
    return None


def _filler(bit: int) -> tuple[int, int]:
    """Empty blocks, as a number and its length in bits, which is `bit` modulo 8."""
    value = length = 0
    parts = _PARTS if bit % 2 else []
    for part, bits in parts:
        value |= part << length
        length += bits
    while length % 8 != bit:
        value |= FIXED[0] << length
        length += FIXED[1]
    return value, length
