"""Masks and boxes in any form that COCO files have, turned into compressed RLE and [x, y, w, h].

For entries that are not of the usual form; usual ones are decoded with their type and come as they
are. The rules are those of pycocotools, which the official evaluator uses.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, TypedDict

import msgspec

from saco_data.evaluation import rle_check

MAX_PIXELS = 1 << 31  # pycocotools counts pixels in 32 bits
# Height or width of a usual picture; for longer sides the product is looked at.
Side = Annotated[int, msgspec.Meta(ge=0, le=46_340)]


class Rle(TypedDict):
    """A compressed RLE as COCO writes it and pycocotools takes it; `size` is [height, width]."""

    size: tuple[Side, Side]
    counts: str


Box = tuple[float, float, float, float]


def coco() -> Any:
    """`pycocotools.mask`, imported when it is needed; its types are those of Python lists."""
    from pycocotools import mask

    return mask


class BadSegmentation(ValueError):
    """A segmentation that is none; says why."""


def rle_of(segmentation: Any, height: int | None, width: int | None) -> Rle:
    """The RLE of a segmentation: compressed, runs as numbers, or polygons in pixels.

    `height`, `width`: of the picture, which polygons and runs need. Raises BadSegmentation. The
    runs are not checked.
    """
    mask = coco()
    try:
        if isinstance(segmentation, dict):
            counts = segmentation.get("counts")
            if isinstance(counts, str):
                return Rle(size=_size(segmentation.get("size")), counts=counts)
            if isinstance(counts, list):
                _check_runs(counts)
                # pycocotools uses the size of the picture here.
                if height is None or width is None:
                    height, width = _size(segmentation.get("size"))
                size = (height, width)
                made = mask.frPyObjects({"size": list(size), "counts": counts}, *size)
                return Rle(size=size, counts=made["counts"].decode())
            raise BadSegmentation("its counts are neither text nor a list of runs")
        if isinstance(segmentation, list) and segmentation:
            if height is None or width is None:
                raise BadSegmentation("a polygon needs the height and width of its picture")
            _check_polygons(segmentation)
            made = mask.merge(mask.frPyObjects(segmentation, height, width))
            return Rle(size=(height, width), counts=made["counts"].decode())
    except (TypeError, ValueError, OverflowError, KeyError, IndexError) as error:
        if isinstance(error, BadSegmentation):
            raise
        raise BadSegmentation(str(error)) from error
    raise BadSegmentation("it is neither an RLE nor a list of polygons")


def polygon_of(box: Box) -> list[list[float]]:
    """A box as a polygon: what pycocotools makes of an entry without a mask."""
    x, y, width, height = box
    return [[x, y, x, y + height, x + width, y + height, x + width, y]]


def box_of(value: Any) -> Box | None:
    """Four finite numbers as a box, or None."""
    if not isinstance(value, list | tuple) or len(value) != 4:
        return None
    if not all(_is_number(each) and math.isfinite(each) for each in value):
        return None
    x, y, width, height = map(float, value)
    return x, y, width, height


def fills(rle: Rle) -> bool:
    """Whether the runs add up to height x width; an empty text is an empty mask."""
    height, width = rle["size"]
    return not rle["counts"] or rle_check.total_of(rle["counts"]) == height * width


def meets(rle: Rle, others: Sequence[Rle]) -> bool:
    """Whether the box around a mask meets that of another: only then are runs compared."""
    mask = coco()
    if not others:
        return False
    boxes = [mask.toBbox(each) for each in (rle, *others)]
    ious = mask.iou(boxes[0].reshape(1, 4), _stack(boxes[1:]), [0] * len(others))
    return bool((ious > 0).any())


def _stack(boxes: Sequence[Any]) -> Any:
    import numpy as np

    return np.stack(boxes)


def _size(value: Any) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2 or not all(map(_is_number, value)):
        raise BadSegmentation("its size is not [height, width]")
    height, width = (int(each) for each in value)
    if height < 0 or width < 0 or height * width >= MAX_PIXELS:
        raise BadSegmentation(f"its size {height} x {width} is not that of a picture")
    return height, width


def _check_runs(counts: list[Any]) -> None:
    if not all(_is_number(each) and 0 <= each < MAX_PIXELS for each in counts):
        raise BadSegmentation("its runs are not whole numbers from 0")


def _check_polygons(polygons: list[Any]) -> None:
    for each in polygons:
        fits = isinstance(each, list) and len(each) >= 4 and len(each) % 2 == 0
        if not fits or not all(_is_number(x) and abs(x) < 1e6 for x in each):
            raise BadSegmentation("its polygon is not a list of x, y, x, y, ... in pixels")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
