"""A ground truth file as the official evaluator understands it: which image-NPs count, which masks.

Read through `dataset.raw_json`, as all annotation files are. What the official evaluator crashes on
or would never end on is an AnnotationError that names the entry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from saco_data.dataset import raw_json
from saco_data.evaluation import rle_check, truth_annotations, truth_images
from saco_data.evaluation.truth_annotations import Mask, Shape, Where
from saco_data.evaluation.truth_file import AGAIN
from saco_data.evaluation.truth_images import Images
from saco_data.model.errors import AnnotationError
from saco_data.model.words import plain

__all__ = ["GroundTruth", "Shape", "read"]

_BATCH = 2000  # masks that are checked together


@dataclass(kw_only=True)
class GroundTruth(Images):
    """Which image-NPs are evaluated and what is in them.

    `shapes`: what is annotated, by position, crowds left out, in the order in which the official
    evaluator takes them.
    """

    path: Path
    sha256: str
    categories: frozenset[Any]
    shapes: dict[int, list[Shape]] = field(default_factory=dict)


def read(
    path: Path, iou_type: str = "segm", *, is_checked: bool = False, sha: str = ""
) -> GroundTruth:
    """Reads a ground truth for masks ("segm") or boxes ("bbox"). Raises AnnotationError.

    `is_checked`: its runs were found whole before; `sha`: its sha256 where that is known.
    """
    document = raw_json.read(path)
    sha = sha or document.sha256
    images = truth_images.read(path, document.members["images"])
    if not len(images.entries):
        raise AnnotationError(
            "has no image-NP that is annotated exhaustively (is_instance_exhaustive)",
            item=str(path),
            remedy=AGAIN,
        )
    where = Where(path, images, _categories(path, document.members))
    masks = truth_annotations.read(where, document.members["annotations"], iou_type)
    del document
    truth = GroundTruth(**vars(images), path=path, sha256=sha, categories=where.categories)
    _group(truth, masks)
    if iou_type == "segm" and not is_checked:
        _check_runs(truth)
    return truth


def _categories(path: Path, members: dict[str, msgspec.Raw]) -> frozenset[Any]:
    try:
        found = msgspec.json.decode(members["categories"])
        return frozenset(each["id"] for each in found)
    except (KeyError, TypeError, msgspec.DecodeError) as error:
        raise AnnotationError(
            "has no `categories` with ids", item=str(path), remedy=AGAIN
        ) from error


def _group(truth: GroundTruth, masks: list[Mask]) -> None:
    """Fills `shapes`: by image, then category in ascending order, then the order of the file."""
    last = {each.id: each for each in masks}
    repeats = len(last) != len(masks)
    groups: dict[int, list[Mask]] = {}
    for each in masks:
        # Of an annotation id that is written twice the last counts; where it is of another
        # image, the first one's image has nothing for it.
        mask = last[each.id] if repeats else each
        if mask.image != each.image or mask.shape is None:
            continue
        if mask.category in truth.categories and not mask.is_crowd:
            groups.setdefault(each.image, []).append(mask)
    for at, group in groups.items():
        if len(truth.categories) > 1:
            group.sort(key=lambda mask: mask.category)
        truth.shapes[at] = [mask.shape for mask in group if mask.shape is not None]


def _check_runs(truth: GroundTruth) -> None:
    shapes = [(at, each) for at, group in truth.shapes.items() for each in group]
    for start in range(0, len(shapes), _BATCH):
        part = [(at, each) for at, each in shapes[start : start + _BATCH] if isinstance(each, dict)]
        verdicts = rle_check.check(
            [each["counts"] for _, each in part], [math.prod(each["size"]) for _, each in part]
        )
        for at in np.flatnonzero(verdicts)[:1]:
            name = plain(str(truth.ids.value(part[at][0])))
            raise AnnotationError(
                f"a mask of image id {name} is damaged: {rle_check.WORDS[int(verdicts[at])]}",
                item=str(truth.path),
                remedy=AGAIN,
            )
