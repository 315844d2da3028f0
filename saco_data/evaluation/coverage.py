"""On how much of the benchmark a number stands, and what it could be on all of it.

An image-NP is here if its picture is in this copy and the model ran on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saco_data.dataset import raw_json
from saco_data.evaluation import cgf1
from saco_data.evaluation.ground_truth import GroundTruth
from saco_data.evaluation.items import Items
from saco_data.evaluation.results import Coverage, Views
from saco_data.model.errors import UsageError
from saco_data.storage import untrusted_json


def of(items: Items, predicted: int, published: int | None) -> Coverage:
    """The coverage of these items."""
    here = int(items.here.sum() + items.negatives.sum())
    masks = int(items.truth[items.here].sum()), int(items.truth.sum())
    return Coverage((here, items.evaluated), masks, predicted, published)


def views(items: Items) -> Views | None:
    """The numbers with and without what is missing; None where nothing is."""
    if items.here.all():
        return None
    seen = (
        items,
        items.those_here(),
        items.if_missing_were(right=False),
        items.if_missing_were(right=True),
    )
    return Views(*(cgf1.headline(cgf1.count(each)) for each in seen))


def here_of(
    truth: GroundTruth, copy: Path | None, ran: Sequence[Any] | None
) -> NDArray[np.bool_] | None:
    """By position in `truth.ids`: whether it is in the copy and the model ran; None for all.

    `copy`: the annotation file that holds only what is there. Raises AnnotationError.
    """
    found = None
    for ids in (ids_in(copy) if copy else None, ran):
        if ids is None:
            continue
        positions = truth.ids.positions(ids if isinstance(ids, list) else list(ids))
        there = np.zeros(len(truth.ids), bool)
        there[positions[positions >= 0]] = True
        found = there if found is None else found & there
    return found


def ids_in(path: Path) -> list[Any]:
    """The ids of all image-NPs of an annotation file. Raises AnnotationError."""
    return [pair.id for _, pair in raw_json.read(path).pairs()]


def doubts(truth: GroundTruth, ran: Sequence[Any], predicted: set[int], name: str) -> list[str]:
    """Why a list of ids that the model ran on (`name`: its file) may be of something else.

    `predicted`: positions of the image-NPs that have predictions.
    """
    positions = truth.ids.positions(list(ran))
    found = []
    if unknown := int((positions < 0).sum()):
        found.append(f"{unknown:,} of {len(ran):,} ids in {name} are not in the ground truth")
    if others := len(predicted - set(positions.tolist())):
        found.append(
            f"{others:,} image-NPs have predictions and are not in {name}: it seems to be of "
            "another run; remove it, or give the right one with --ran"
        )
    return found


def read_ran(path: Path) -> list[Any]:
    """The ids that a model ran on: a JSON list, `{"image_ids": [...]}`, or one id a line.

    Raises UsageError.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(
            f"cannot be read ({why})", item=str(path), remedy="Name a file of image ids"
        ) from error
    try:
        found = untrusted_json.parse(text)
    except ValueError:
        found = [_id(line) for line in text.split()]
    if isinstance(found, dict):
        found = found.get("image_ids")
    found = [found] if isinstance(found, int) else found
    if not isinstance(found, list) or not all(isinstance(x, int | float | str) for x in found):
        raise UsageError(
            "holds no list of image ids",
            item=str(path),
            remedy="Write a JSON list of ids, or one id a line",
        )
    return found


def _id(text: str) -> int | str:
    return int(text) if text.lstrip("-").isdigit() else text
