"""The products of an annotation file: its unique `file_name`s, with counts.

An entry of `images[]` is an image-NP pair, so one file appears many times.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saco_data.catalog.manifest import Manifest
from saco_data.dataset import raw_json
from saco_data.dataset.raw_json import Document, Id, Pair
from saco_data.model.records import Product
from saco_data.model.words import plain

_MAX_WARNINGS = 20  # about pairs that disagree


@dataclass(frozen=True)
class Index:
    """An annotation file seen as products.

    `sha256` is that of the file's bytes; `warnings` name what had to be repaired to read the file
    and what differs from what was published.
    """

    path: Path
    sha256: str
    products: dict[str, Product]
    image_nps: int
    masks: int
    warnings: tuple[str, ...] = ()


def read(path: Path, manifest: Manifest) -> Index:
    """Reads and validates an annotation file.

    Raises AnnotationError for a missing or damaged file and for entries that lack what the tool
    relies on; counts that differ from the published ones are warnings.
    """
    document = raw_json.read(path)
    firsts: dict[str, Pair] = {}
    disagreements: list[str] = []
    image_nps = 0
    ids: set[Id] = set()
    repeated: set[Id] = set()
    for _, pair in document.pairs():
        image_nps += 1
        if pair.id in ids:
            repeated.add(pair.id)
        ids.add(pair.id)
        first = firsts.setdefault(pair.file_name, pair)
        if first is pair:
            raw_json.check_picture(pair, path)
        elif not _is_same_picture(first, pair) and len(disagreements) < _MAX_WARNINGS:
            disagreements.append(
                f"{path.name}: pairs {plain(str(first.id))} and {plain(str(pair.id))} disagree "
                f"about {plain(pair.file_name)}; the first is used"
            )
    del ids
    disagreements += _shared_ids(document, repeated)
    masks = count_masks(document, manifest)
    products = {name: _product(pair) for name, pair in firsts.items()}
    published = manifest.annotations
    counts = (
        ("image-NPs", image_nps, published.image_nps or image_nps),
        ("masks", masks, published.masks or masks),
        ("files", len(products), published.files or len(products)),
    )
    differing = [f"{count} {what} ({right})" for what, count, right in counts if count != right]
    warnings = [f"{path.name} {repair}" for repair in document.repairs] + disagreements
    if differing:
        warnings.append(f"{path.name} holds other counts than published: {', '.join(differing)}")
    return Index(path, document.sha256, products, image_nps, masks, tuple(warnings))


def count_masks(document: raw_json.Document, manifest: Manifest) -> int:
    """The number of masks. In COCO files, entries without a segmentation do not count."""
    if manifest.annotations.format != "coco":
        return sum(1 for _ in document.annotations())
    return sum(
        1
        for _, annotation in document.annotations()
        if _has_mask(raw_json.value_of(annotation.segmentation))
    )


def _has_mask(segmentation: Any) -> bool:
    """Whether polygons or an RLE hold anything."""
    if isinstance(segmentation, dict):
        return bool(segmentation.get("counts"))
    return isinstance(segmentation, list) and any(segmentation)


def _shared_ids(document: Document, repeated: set[Id]) -> Iterator[str]:
    """Warnings about pairs of different files with one id: their masks cannot be told apart."""
    if not repeated:
        return
    names: dict[Id, set[str]] = {}
    for _, pair in document.pairs():
        if pair.id in repeated:
            names.setdefault(pair.id, set()).add(pair.file_name)
    shared = ((number, files) for number, files in names.items() if len(files) > 1)
    for number, files in itertools.islice(shared, _MAX_WARNINGS):
        shown = ", ".join(plain(name) for name in sorted(files)[:3])
        yield (
            f"{document.path.name}: the id {plain(str(number))} stands for pairs of different "
            f"files ({shown}): their masks cannot be told apart, and stay while one of them stays"
        )


def _is_same_picture(one: Pair, other: Pair) -> bool:
    return (
        one.width == other.width
        and one.height == other.height
        and one.global_frame_idx == other.global_frame_idx
        and one.original_video == other.original_video
        and one.image_size == other.image_size
    )


def _product(pair: Pair) -> Product:
    frame, size = pair.global_frame_idx, pair.image_size
    return Product(
        pair.file_name,
        int(pair.width),
        int(pair.height),
        pair.original_video,
        None if frame is None else int(frame),
        None if size is None else (int(size[0]), int(size[1])),
    )
