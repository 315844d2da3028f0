"""COCO masks as run lengths (RLE) or polygons, checked before they are decoded.

pycocotools reads past the end of memory, or never returns, where the runs do not fill the picture
exactly: a damaged RLE is refused by name, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

Mask = NDArray[np.bool_]
LARGEST = 1 << 27  # pixels; far more than any picture of the benchmark has


class DamagedMask(ValueError):
    """An RLE that does not describe a mask of its picture; says why."""


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
        raise DamagedMask(f"its picture of {width} x {height} is too large to be decoded")
    filled = sum(run_lengths(counts))
    if filled != width * height:
        raise DamagedMask(f"its RLE fills {filled} of {width * height} pixels")
    decoded = rle.decode({"counts": counts.encode("ascii"), "size": size})
    return decoded.astype(bool)


def to_mask(segment: Any, width: int, height: int) -> Mask:
    """A COCO segmentation (RLE, plain or compressed, or polygons) as bool [height, width].

    None is an absent object. Raises DamagedMask.
    """
    if segment is None or segment == []:
        return np.zeros((height, width), bool)
    if isinstance(segment, list):
        return _fill_polygons(segment, width, height)
    counts = segment.get("counts") if isinstance(segment, Mapping) else None
    if not isinstance(counts, list):
        return decode(segment, width, height)
    if not all(isinstance(each, int) and each >= 0 for each in counts):
        raise DamagedMask("its RLE holds what is not a number of pixels")
    if segment.get("size") != [height, width]:
        raise DamagedMask(f"its RLE is not of the size {width} x {height}")
    if sum(counts) != width * height:
        raise DamagedMask(f"its RLE fills {sum(counts)} of {width * height} pixels")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((height, width), order="F")


def _fill_polygons(polygons: list[Any], width: int, height: int) -> Mask:
    try:
        points = [np.array(each, dtype=float) for each in polygons]
    except (TypeError, ValueError) as error:
        raise DamagedMask("its polygons hold what is not a number") from error
    far = 10 * max(width, height)  # pycocotools walks along every pixel of an edge
    if any(each.ndim != 1 or len(each) < 6 or len(each) % 2 for each in points):
        raise DamagedMask("a polygon needs three points, [x, y, x, y, x, y]")
    if any(not (np.abs(each) <= far).all() for each in points):
        raise DamagedMask("a polygon leaves its picture by far")
    encoded = rle.frPyObjects([each.tolist() for each in points], height, width)
    return rle.decode(rle.merge(encoded)).astype(bool)


def run_lengths(counts: str) -> list[int]:
    """The run lengths of a compressed RLE, in pixels. Raises DamagedMask.

    Format of pycocotools (`rleToString`): five bits a character, the sixth says that more follow;
    from the fourth run on, the difference to the run before the last.
    """
    runs: list[int] = []
    value = shift = 0
    for char in counts:
        code = ord(char) - 48
        if not 0 <= code < 64 or shift > 50:
            raise DamagedMask("its RLE holds characters that RLE does not use")
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
