"""The annotations of a ground truth, each as the mask or box that is compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from saco_data.evaluation.segmentations import BadSegmentation, Box, Rle, box_of, rle_of
from saco_data.evaluation.truth_file import AGAIN, entries
from saco_data.evaluation.truth_images import Images
from saco_data.model.errors import AnnotationError
from saco_data.model.words import plain

Shape = Rle | Box  # what is compared: masks, or boxes as fractions of the picture


class _Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    iscrowd: int | bool
    segmentation: Rle
    bbox: tuple[float, float, float, float]


class Mask(NamedTuple):
    """An annotation. `image`: the position of its image; no `shape` where that is not evaluated."""

    id: Any
    image: int
    category: Any
    is_crowd: bool
    shape: Shape | None


@dataclass(frozen=True)
class Where:
    """What the annotations belong to."""

    path: Path
    images: Images
    categories: frozenset[Any]


def read(truth: Where, raw: msgspec.Raw, iou_type: str) -> list[Mask]:
    """The entries of `annotations`. Raises AnnotationError that names one."""
    masks: list[Mask] = []
    boxes = iou_type == "bbox"
    for first, batch in entries(raw, _Annotation, truth.path, "annotations"):
        if isinstance(batch[0], dict):
            masks += _unusual_masks(truth, first, batch, boxes)
            continue
        positions = truth.images.ids.positions([each.image_id for each in batch])
        wanted = (positions >= 0) & truth.images.is_evaluated[positions]
        for each, at, counts in zip(batch, positions.tolist(), wanted.tolist(), strict=True):
            shape: Shape | None = None
            if counts:
                shape = each.bbox if boxes else each.segmentation
            masks.append(Mask(each.id, at, each.category_id, bool(each.iscrowd), shape))
    return masks


def _unusual_masks(
    truth: Where, first: int, batch: list[dict[str, Any]], boxes: bool
) -> Iterator[Mask]:
    for number, each in enumerate(batch, first):
        for key in ("id", "image_id", "category_id"):
            if not isinstance(each.get(key), int | float | str):
                raise _wrong(truth, number, each, f"has no {key}")
        at = int(truth.images.ids.positions([each["image_id"]])[0])
        crowd, shape = False, None
        if at >= 0 and truth.images.is_evaluated[at] and each["category_id"] in truth.categories:
            if not isinstance(each.get("iscrowd"), int | float):
                hint = " (`is_crowd` is not read)" if "is_crowd" in each else ""
                raise _wrong(truth, number, each, f"has no iscrowd{hint}")
            crowd = bool(each["iscrowd"])
            shape = _shape(truth, number, each, at, boxes)
        yield Mask(each["id"], at, each["category_id"], crowd, shape)


def _shape(truth: Where, number: int, annotation: dict[str, Any], at: int, boxes: bool) -> Shape:
    if boxes:
        box = box_of(annotation.get("bbox"))
        if box is None:
            raise _wrong(truth, number, annotation, "has a bbox that is not four numbers")
        return box
    height, width = truth.images.size(at)
    if height is None:
        raise _wrong(truth, number, annotation, "is of an image without height and width")
    try:
        return rle_of(annotation.get("segmentation"), height, width)
    except BadSegmentation as error:
        raise _wrong(truth, number, annotation, f"has no mask: {error}") from error


def _wrong(truth: Where, number: int, annotation: dict[str, Any], what: str) -> AnnotationError:
    name = plain(str(annotation.get("id")))[:60]
    return AnnotationError(
        f"annotations[{number}] (id {name}) {what}", item=str(truth.path), remedy=AGAIN
    )
