"""`saco lock --against-masks`: do the masks of a video fit other frames than their own?

A hint for people where there is no second copy to compare with: it is shown by report and card, and
no file is dropped or changed because of it. What was found is kept beside the ledger, and holds
for as long as the copy stays the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray
from PIL import Image

from saco_data import executors
from saco_data.config.settings import Settings
from saco_data.dataset import masks, pairs
from saco_data.dataset.pruned import keep_list_sha256
from saco_data.dataset.raw_json import value_of
from saco_data.engine.subset import Subset, bind
from saco_data.executors import Executor
from saco_data.media.frames import FrameError, FrameFailure, extract
from saco_data.model.items import Item
from saco_data.model.reasons import State
from saco_data.model.records import Product
from saco_data.share import describing, edges, shifts
from saco_data.share.shifts import NAME, Found, known
from saco_data.state.ledger import Ledger

__all__ = ["NAME", "Annotated", "Found", "known", "look_at", "measure"]

MOST_PRODUCTS = 30  # of a video, spread over it; more do not make the claim safer


@dataclass(frozen=True)
class Annotated:
    """A frame with its masks as annotated: its number, its size in pixels, segmentations."""

    frame: int
    width: int
    height: int
    segmentations: list[Any]


def measure(
    settings: Settings, names: Sequence[str], *, executor: Executor | None = None
) -> dict[str, Found]:
    """Looks at all prepared subsets of frames whose videos are here, and keeps what was found.

    Raises UsageError where the annotations changed since they were prepared, OutputError.
    """
    found: dict[str, Found] = {}
    kept: dict[str, Any] = shifts.read(settings)
    with (
        executors.running(settings, executor) as running,
        Ledger(settings.state, read_only=True) as ledger,
    ):
        for subset in bind(settings, names):
            facts = ledger.facts(subset.id)
            if not facts.files or not has_masks_of_frames(subset):
                continue
            done = ledger.items(subset.id, state=State.DONE)
            found[subset.id] = _measure(subset, done, running)
            kept[subset.id] = {
                "annotation_sha256": facts.sha256,
                "keep_list_sha256": keep_list_sha256(done),
                **vars(found[subset.id]),
            }
    shifts.write(settings, kept)
    return found


def has_masks_of_frames(subset: Subset) -> bool:
    """Whether its products are frames of videos whose masks are in one annotation file."""
    return bool(subset.manifest.frames) and not subset.manifest.is_listed


def _measure(subset: Subset, done: Mapping[str, Item], executor: Executor) -> Found:
    index = subset.read_index()
    content = pairs.read(subset.config.pristine)
    by_file = content.by_file()
    products_here = (index.products[name] for name in done if name in index.products)
    by_video = describing.by_video(
        each
        for each in describing.in_order(products_here)
        if each.video is not None and each.frame is not None
    )
    tasks = []
    for video, products in by_video.items():
        path = describing.video_of(subset, video)
        if path is not None and len(products) >= edges.LEAST_PRODUCTS:
            tasks.append((video, path, _spread(products)))
    arguments = (
        (path, [_annotated(each, content, by_file[each.file_name]) for each in products])
        for _, path, products in tasks
    )
    result = Found()
    answers = describing.run(executor, look_at, arguments)
    for (video, _, _), answer in zip(tasks, answers, strict=True):
        if answer is not None:
            result.videos += 1
            if answer:
                result.shifts[video] = answer
    return result


def _spread(products: list[Product]) -> list[Product]:
    number = min(len(products), MOST_PRODUCTS)
    return [products[int(at)] for at in np.linspace(0, len(products) - 1, number)]


def _annotated(product: Product, content: pairs.Pairs, own: list[pairs.Pair]) -> Annotated:
    assert product.frame is not None
    segmentations = [value_of(each.segmentation) for pair in own for each in content.of(pair)]
    return Annotated(product.frame, int(own[0].width), int(own[0].height), segmentations)


def look_at(video: Path, products: list[Annotated]) -> int | None:
    """By how many frames the products of a video look shifted; 0 where they do not.

    None where it cannot be told: the video cannot be decoded, or fewer than three products can be
    judged.
    """
    try:
        fits = [each for each in _fits(video, products) if each.is_usable]
    except (FrameError, OSError):
        return None
    if len(fits) < edges.LEAST_PRODUCTS:
        return None
    return edges.judge(fits) or 0


def _fits(video: Path, products: list[Annotated]) -> Iterator[edges.Fit]:
    """The frames around each product are looked at as they are decoded; none is kept."""
    size = edges.scaled_size(products[0].width, products[0].height)
    contours = {each.frame: edges.find_contour(_scaled(each, size)) for each in products}
    contours = {at: each for at, each in contours.items() if each.length >= edges.LEAST_POINTS}
    measured: dict[int, dict[int, edges.Look]] = {at: {} for at in contours}
    wanted = {at + k for at in contours for k in edges.SHIFTS if at + k >= 0}
    for frame in extract(video, wanted, convert=lambda each: _planes(each, size)):
        if isinstance(frame, FrameFailure):
            continue
        for at, contour in contours.items():
            if abs(frame.index - at) <= edges.REACH:
                measured[at][frame.index - at] = edges.look(contour, frame.rgb)
    for at, looks in measured.items():
        fit = edges.join(contours[at], looks)
        if fit is not None:
            yield fit


def _scaled(product: Annotated, size: tuple[int, int]) -> list[masks.Mask]:
    """The masks at this size (width, height); damaged ones are left out."""
    found = []
    for each in product.segmentations:
        try:
            mask = masks.decode(each, product.width, product.height)
        except masks.DamagedMask:
            continue
        image = Image.fromarray(mask.astype(np.uint8) * 255)
        found.append(np.asarray(image.resize(size, Image.Resampling.BOX)) > 127)
    return found


def _planes(frame: VideoFrame, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A frame as brightness and colours, uint8 [3, height, width], turned as the frame says."""
    turns = 0 if frame.rotation % 90 else frame.rotation // 90 % 4
    width, height = size[::-1] if turns % 2 else size
    scaled = frame.reformat(width, height, "yuv444p", interpolation="AREA")
    planes = scaled.to_ndarray().astype(np.uint8, copy=False)
    return np.ascontiguousarray(np.rot90(planes, turns, axes=(1, 2)))
