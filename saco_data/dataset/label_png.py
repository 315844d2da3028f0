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
from PIL import Image, UnidentifiedImageError
from zlib_ng import zlib_ng

from saco_data.dataset.patch import Labels, Patch, cut
from saco_data.dataset.png_filters import unfilter
from saco_data.model.records import MAX_PIXELS

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_IHDR = struct.Struct(">8sI4sIIBBBBB")
_GREY, _PALETTE = 0, 3


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
    except UnidentifiedImageError as error:  # its text has an address in memory
        raise LabelError("cannot be decoded (cut, or not a PNG)") from error
    except Exception as error:
        # For untrusted bytes Pillow raises many kinds of exceptions.
        raise LabelError(f"cannot be decoded ({error})") from error
    if values.ndim != 2:
        raise LabelError("has more than one number a pixel")
    height, width = values.shape
    is_byte = values.dtype.itemsize == 1
    labels: Labels = values.astype(np.uint8) if is_byte else values.astype(np.uint16)
    return cut(height, width, 0, 0, labels)


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
    patch = unfilter(rows[:, 0], rows[:, 1:])
    if patch is None or header.bits == 8:
        return patch
    left = 8 * patch.left
    bits = np.unpackbits(patch.values.astype(np.uint8), axis=1)[:, : width - left]
    return cut(height, width, patch.top, left, bits) if bits.size else replace(patch, width=width)


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
