"""Prompts for promptable models: the first click and the box of each mask.

The rule of SAM 2 (`sample_one_point_from_error_center`), which is that of RITM: the click lies
where the larger error is thickest. Distances are exact and Euclidean, the border of the picture
counts as a border of the error, and of equal distances the first in row order wins.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from saco_data.dataset.dataset import AnySubset, Subset
from saco_data.dataset.masked_pictures import MaskedSubset
from saco_data.dataset.raw_json import value_of
from saco_data.dataset.train_videos import TrainVideo
from saco_data.dataset.videos import Video
from saco_data.storage import files

Mask = NDArray[np.bool_]
Prompts = dict[str, Any]


class Click(NamedTuple):
    """A pixel (column, row), and whether it is on the object."""

    x: int
    y: int
    is_positive: bool


@dataclass
class Written:
    """What was written: the file, the number of prompts, and of masks without a pixel."""

    path: Path
    prompts: int = 0
    empty: int = 0


def next_click(truth: Mask, prediction: Mask) -> Click:
    """The click that corrects a prediction; both are bool [height, width].

    Positive in what the prediction lacks, negative in what it has too much: where the distance to
    the border is larger; of equal ones the negative. (0, 0, False) where nothing is wrong.
    """
    lacking, wrong = _thickest(truth & ~prediction), _thickest(prediction & ~truth)
    (distance, x, y), is_positive = max(
        (wrong, False), (lacking, True), key=lambda each: each[0][0]
    )
    return Click(x, y, is_positive and distance > 0)


def write(subset: AnySubset, path: Path) -> Written:
    """Writes a line of JSON for each mask (of a video: for the first mask of each object).

    Masks without a pixel are left out. Raises AnnotationError where a mask is damaged, OutputError,
    DiskFull.
    """
    done = Written(path)
    with files.open_atomic(path) as file:
        for place, mask in _masks(subset):
            if not mask.any():
                done.empty += 1
                continue
            click = next_click(mask, np.zeros_like(mask))
            prompts = {**place, "click": [click.x, click.y], "box": list(_box(mask))}
            file.write(json.dumps(prompts).encode() + b"\n")
            done.prompts += 1
    return done


def _masks(subset: AnySubset) -> Iterator[tuple[Prompts, Mask]]:
    """Each mask that gets prompts, with what says which one it is."""
    if isinstance(subset, Subset):
        for item in subset:
            for annotation, mask in zip(item.annotations, item.masks, strict=True):
                yield {"image_id": item.id, "annotation_id": value_of(annotation.id)}, mask
        return
    if isinstance(subset, MaskedSubset):
        for picture in subset:
            found = picture.annotations()
            for each in found.masks:
                yield {"image_id": found.image_id, "annotation_id": each.id}, each.mask
        return
    for video in subset:
        seen: set[int] = set()
        for frame in video.annotated:
            if len(seen) == len(video.objects):
                break
            for name, mask in video.masks(frame).items():
                if name not in seen and mask.any():
                    seen.add(name)
                    yield {**_name(video), "frame": frame, "object": name}, mask


def _name(video: Video | TrainVideo) -> Prompts:
    kind = {"kind": video.kind} if isinstance(video, TrainVideo) else {}
    return {"video": video.name, **kind}


def _thickest(error: Mask) -> tuple[float, int, int]:
    """(distance to the border, column, row) of the pixel that is farthest from it; 0s without."""
    from scipy.ndimage import distance_transform_edt

    if not error.any():
        return 0.0, 0, 0
    left, top, width, height = _box(error)
    # Outside of its box there is no error: the same distances as over the whole picture.
    part = np.pad(error[top : top + height, left : left + width], 1)
    distances = distance_transform_edt(part)[1:-1, 1:-1]
    row, column = np.unravel_index(int(distances.argmax()), distances.shape)
    return float(distances[row, column]), left + int(column), top + int(row)


def _box(mask: Mask) -> tuple[int, int, int, int]:
    """Left, top, width and height of the pixels of a mask that has some."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1
