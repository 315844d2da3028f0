"""Masks and label maps as PNG: read quickly and with the values that Pillow gives, written as P.

Label maps are nearly all zeros, and inflating them is most of the work: zlib-ng does it several
times as fast as the zlib inside Pillow and OpenCV. What is unusual is left to Pillow.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from zlib_ng import zlib_ng

from saco_data.model.records import MAX_PIXELS

Labels = NDArray[np.uint8] | NDArray[np.uint16]

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IHDR = struct.Struct(">8sI4sIIBBBBB")
_GREY, _PALETTE = 0, 3
_NONE, _SUB, _UP, _AVERAGE, _PAETH = range(5)


class LabelError(ValueError):
    """A file that holds no label map; says why."""


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes of a PNG say: pixels, bits a sample, PNG's number of the colour type."""

    width: int
    height: int
    bits: int
    colour: int
    is_interlaced: bool


def read_header(path: Path | str) -> Header:
    """The header of a label map. Raises LabelError for anything else, OSError."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a Path costs more than the read
        return _header_of(file.read(_IHDR.size))


def _header_of(start: bytes) -> Header:
    if not start:
        raise LabelError("is empty")
    if start[:8] != _SIGNATURE:
        raise LabelError("is not a PNG")
    if len(start) < _IHDR.size or start[12:16] != b"IHDR":
        raise LabelError("is cut off or damaged")
    _, _, _, width, height, bits, colour, _, _, interlace = _IHDR.unpack(start[: _IHDR.size])
    if colour not in (_GREY, _PALETTE):
        kind = {2: "RGB", 4: "grey with transparency", 6: "RGBA"}.get(colour, "unknown")
        raise LabelError(f"has colour ({kind}), where one number a pixel is needed")
    if not 0 < width * height <= MAX_PIXELS:
        raise LabelError(f"claims {width} x {height} pixels")
    return Header(width, height, bits, colour, bool(interlace))


@dataclass(frozen=True, slots=True)
class Patch:
    """A label map of `height` x `width` pixels of which only a part is held.

    `values`, [rows, columns], begins at (`top`, `left`); all other labels are 0.
    """

    height: int
    width: int
    top: int
    left: int
    values: Labels

    def full(self) -> Labels:
        """The whole map, [height, width]."""
        labels = np.zeros((self.height, self.width), self.values.dtype)
        rows, columns = self.values.shape
        labels[self.top : self.top + rows, self.left : self.left + columns] = self.values
        return labels


def read(path: Path | str) -> Labels:
    """The values of a grey or palette PNG, [height, width]: palette indices, not colours.

    One bit a pixel gives 0 and 1; 16 bits give uint16. As with Pillow, a file whose end is missing
    is read if all its pixels are there. Raises LabelError, OSError.
    """
    return read_patch(path).full()


def read_patch(path: Path | str) -> Patch:
    """What `read` gives, cut to the smallest rectangle that holds all labels but 0."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - as above
        content = file.read()
    header = _header_of(content)
    return _read_quickly(content, header) or _read_by_pillow(content)


def _read_by_pillow(content: bytes) -> Patch:
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            values = np.array(image)
    except Exception as error:
        # For untrusted bytes Pillow raises many kinds of exceptions.
        raise LabelError(f"cannot be decoded ({error})") from error
    if values.ndim != 2:
        raise LabelError("has more than one number a pixel")
    height, width = values.shape
    is_byte = values.dtype.itemsize == 1
    labels: Labels = values.astype(np.uint8) if is_byte else values.astype(np.uint16)
    return _cut(height, width, 0, 0, labels)


def _cut(height: int, width: int, top: int, left: int, values: Labels) -> Patch:
    """The patch without rows and columns of zeros at its edges."""
    rows, columns = np.flatnonzero(values.max(axis=1)), np.flatnonzero(values.max(axis=0))
    if not rows.size:
        return Patch(height, width, 0, 0, values[:0, :0])
    inner = values[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Patch(height, width, top + int(rows[0]), left + int(columns[0]), inner)


def _read_quickly(content: bytes, header: Header) -> Patch | None:
    """The values of a plain PNG of 1 or 8 bits; None where Pillow shall read it."""
    height, width = header.height, header.width
    if header.bits not in (1, 8) or header.is_interlaced:
        return None
    stride = 1 + (width * header.bits + 7) // 8
    try:
        # The limit keeps a small file from filling the memory.
        inflater = zlib_ng.decompressobj()
        inflated = inflater.decompress(_compressed(content), stride * height + 1)
    except zlib_ng.error:  # type: ignore[misc]  # its types hide that it is an exception
        return None
    if len(inflated) != stride * height:
        return None
    rows = np.frombuffer(inflated, np.uint8).reshape(height, stride)
    patch = _unfilter(rows[:, 0], rows[:, 1:])
    if patch is None or header.bits == 8:
        return patch
    left = 8 * patch.left
    bits = np.unpackbits(patch.values.astype(np.uint8), axis=1)[:, : width - left]
    return _cut(height, width, patch.top, left, bits) if bits.size else replace(patch, width=width)


def _compressed(content: bytes) -> bytes:
    """What the IDAT chunks hold, as far as the file goes. CRCs are not checked, as in Pillow."""
    parts = []
    at = len(_SIGNATURE)
    while at + 8 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if content[at + 4 : at + 8] == b"IDAT":
            parts.append(content[at + 8 : at + 8 + length])
        at += length + 12
    return b"".join(parts)


def _unfilter(kinds: NDArray[np.uint8], rows: NDArray[np.uint8]) -> Patch | None:
    """The bytes of a picture whose rows are filtered in these ways (PNG specification, 9).

    `rows` is [height, bytes]. None if a row is filtered by the average, which is rare.
    """
    height, width = rows.shape
    found = _cut(height, width, 0, 0, rows)
    if not kinds.any() or not found.values.size:
        return found
    if (kinds == _AVERAGE).any() or kinds.max() > _PAETH:
        return None
    # Above and left of all differences there are only zeros. So there are below and to the right
    # of a row and a column of zeros that have no differences either.
    top, left = found.top, found.left
    bottom = min(height, top + found.values.shape[0] + 1)
    right = min(width, left + found.values.shape[1] + 1)
    values = _unfilter_block(kinds[top:bottom], rows[top:bottom, left:right])
    goes_on = (bottom < height and values[-1].any()) or (right < width and values[:, -1].any())
    if goes_on:
        values = _unfilter_block(kinds[top:], rows[top:, left:])
    return _cut(height, width, top, left, values)


def _unfilter_block(kinds: NDArray[np.uint8], rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The values of rows that have only zeros above and to the left of them."""
    values = rows.copy()
    above = np.zeros(rows.shape[1], np.uint8)
    changes = np.flatnonzero(np.diff(kinds)) + 1
    for start, end in zip([0, *changes], [*changes, len(rows)], strict=True):
        block = values[start:end]
        if kinds[start] == _SUB:
            np.add.accumulate(block, axis=1, dtype=np.uint8, out=block)
        elif kinds[start] == _UP:
            block[0] += above
            np.add.accumulate(block, axis=0, dtype=np.uint8, out=block)
        elif kinds[start] == _PAETH:
            for row in block:
                _unfilter_paeth(row, above)
                above = row
        above = block[-1]
    return values


def _unfilter_paeth(row: NDArray[np.uint8], above: NDArray[np.uint8]) -> None:
    """Undoes the Paeth filter of one row in place.

    Where a row and the one above it agree in a pixel, and the next difference is 0, they agree in
    the next pixel too: only from a difference to the next agreement is there anything to compute.
    """
    differences = row.copy()
    row[:] = above
    done = 0
    for start in np.flatnonzero(differences):
        if start < done:
            continue
        at = int(start)
        while at < len(row):
            left, up, corner = (
                (int(row[at - 1]), int(above[at]), int(above[at - 1]))
                if at
                else (0, int(above[0]), 0)
            )
            row[at] = (int(differences[at]) + _predict(left, up, corner)) & 255
            at += 1
            if row[at - 1] == above[at - 1] and (at == len(row) or not differences[at]):
                break
        done = at


def _predict(left: int, up: int, corner: int) -> int:
    to_left, to_up, to_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    if to_left <= to_up and to_left <= to_corner:
        return left
    return up if to_up <= to_corner else corner


@cache
def palette() -> bytes:
    """The colours of DAVIS, 256 x RGB: each bit triple of a label goes into the three high bits."""
    colours = bytearray()
    for label in range(256):
        rgb = [0, 0, 0]
        for place in range(8):
            bits = label >> (3 * place)
            for channel in range(3):
                rgb[channel] |= (bits >> channel & 1) << (7 - place)
        colours += bytes(rgb)
    return bytes(colours)


def encode(labels: NDArray[np.uint8]) -> bytes:
    """A label map as PNG of mode P, 8 bits, with the palette of DAVIS; the same bytes each time."""
    image = Image.fromarray(labels)
    image.putpalette(palette())  # which turns mode L into P
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()
