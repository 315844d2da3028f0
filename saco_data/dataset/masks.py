"""COCO masks as run lengths (RLE), checked before anything is decoded."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

Mask = NDArray[np.bool_]


LARGEST = 1 << 27  # pixels; no picture of the benchmark comes near


class DamagedMask(ValueError):
    """An RLE that does not describe a mask of its picture."""


def decode(segmentation: object, width: int, height: int) -> Mask:
    """The mask of an annotation as bool [height, width]. Raises DamagedMask."""
    if not isinstance(segmentation, Mapping):
        raise DamagedMask("has no RLE")
    counts, size = segmentation.get("counts"), segmentation.get("size")
    if not isinstance(counts, str) or not isinstance(size, list):
        raise DamagedMask("has no compressed RLE")
    if size != [height, width]:
        raise DamagedMask(f"its RLE is of size {size!r:.40}, the picture is [{height}, {width}]")
    if not 0 < width * height <= LARGEST:
        raise DamagedMask(f"its picture of {width} x {height} is out of all measure")
    filled = sum(run_lengths(counts))
    if filled != width * height:
        raise DamagedMask(f"its RLE fills {filled} of {width * height} pixels")
    decoded = rle.decode({"counts": counts.encode("ascii"), "size": size})
    return decoded.astype(bool)


def run_lengths(counts: str) -> list[int]:
    """The run lengths of a compressed RLE: five bits a character, from the fourth run on as the
    difference to the run before the last. Raises DamagedMask.
    """
    runs: list[int] = []
    value = shift = 0
    for char in counts:
        code = ord(char) - 48
        if not 0 <= code < 64 or shift > 50:
            raise DamagedMask("its RLE holds characters that no RLE has")
        value |= (code & 31) << shift
        shift += 5
        if code & 32:
            continue
        if code & 16:
            value -= 1 << shift
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            raise DamagedMask("its RLE has a run of negative length")
        runs.append(value)
        value = shift = 0
    if shift or not runs:
        raise DamagedMask("its RLE ends in the middle")
    return runs
