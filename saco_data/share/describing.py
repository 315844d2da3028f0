"""Descriptors of the pictures of a copy and of the frames around them, by worker processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from saco_data.engine.subset import Subset
from saco_data.executors import LOST, Executor
from saco_data.media import luma
from saco_data.model.records import Product
from saco_data.share.matching import Luma
from saco_data.storage.names import UnsafeName, safe_join

PICTURES_A_TASK = 64
FRAMES_A_TASK = 200
TASK_SECONDS = 3600.0  # a long video that must be decoded in full
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")

R = TypeVar("R")
Around = Mapping[int, Luma]  # descriptors by distance in frames


def is_picture(subset: Subset, name: str) -> bool:
    """Whether a product is a picture to look at: no mask, no annotation file."""
    folder = subset.manifest.annotations.folder
    is_mask = folder is not None and name.startswith(f"{folder}/")
    return name.lower().endswith(_SUFFIXES) and not is_mask


def describe_pictures(
    subset: Subset, names: Sequence[str], executor: Executor
) -> Iterator[tuple[str, Luma | None]]:
    """Each product with its descriptor, in order; None where the file cannot be opened."""
    groups = [names[at : at + PICTURES_A_TASK] for at in range(0, len(names), PICTURES_A_TASK)]
    tasks = [(group, [_path_of(subset, name) for name in group]) for group in groups]
    arguments = [(paths,) for _, paths in tasks]
    found = run(executor, luma.describe_files, arguments)
    for (group, _), descriptors in zip(tasks, found, strict=True):
        for name, each in zip(group, descriptors or [None] * len(group), strict=True):
            yield name, None if each is None else np.frombuffer(each, np.uint8)


def describe_frames_around(
    subset: Subset, products: Sequence[Product], reach: int, executor: Executor
) -> Iterator[tuple[Product, Around | None]]:
    """Each frame with the frames up to `reach` away, from its video; products as `in_order`.

    None where the video is not here or cannot be decoded.
    """
    tasks = [
        (path, group)
        for video, members in by_video(products).items()
        for path in [video_of(subset, video)]
        for group in _split(members)
    ]
    at_hand = [(path, group) for path, group in tasks if path is not None]
    arguments = [(path, [product.frame for product in group], reach) for path, group in at_hand]
    found = run(executor, luma.describe_around, arguments)
    for path, group in tasks:
        around = next(found) if path is not None else None
        for product in group:
            assert product.frame is not None
            own = around.get(product.frame) if around else None
            is_there = own is not None and 0 in own
            yield product, _as_arrays(own) if own is not None and is_there else None


def _as_arrays(around: Mapping[int, bytes]) -> dict[int, Luma]:
    return {k: np.frombuffer(each, np.uint8) for k, each in around.items()}


def in_order(products: Iterable[Product]) -> list[Product]:
    """Frames by video, then by number."""
    return sorted(products, key=lambda each: (each.video or "", each.frame or 0, each.file_name))


def by_video(products: Iterable[Product]) -> dict[str, list[Product]]:
    """Frames by the name of their video."""
    found: dict[str, list[Product]] = {}
    for product in products:
        found.setdefault(product.video or "", []).append(product)
    return found


def _split(members: list[Product]) -> list[list[Product]]:
    return [members[at : at + FRAMES_A_TASK] for at in range(0, len(members), FRAMES_A_TASK)]


def _path_of(subset: Subset, name: str) -> Path:
    return safe_join(subset.config.images, name)


def video_of(subset: Subset, video: str) -> Path | None:
    """The raw file of a video, where it is on this machine."""
    try:
        path = subset.source.raw_path(video)
    except UnsafeName:
        return None
    return path if path.is_file() else None


def run(
    executor: Executor, function: Callable[..., R], arguments: Iterable[tuple[Any, ...]]
) -> Iterator[R | None]:
    """The results in order, a bounded number of tasks ahead; None for one that was lost."""
    running: deque[Future[R]] = deque()
    for each in arguments:
        running.append(executor.submit(function, *each, seconds=TASK_SECONDS))
        if len(running) > 2 * executor.width:
            yield _result(running.popleft())
    while running:
        yield _result(running.popleft())


def _result(future: Future[R]) -> R | None:
    try:
        return future.result()
    except LOST:
        return None
