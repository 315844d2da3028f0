"""Reads SA-Co annotation files and writes derived ones. The downloaded file is never modified.

An entry of `images[]` is an image-NP pair, so one file appears many times; products are the unique
`file_name`s. Entries are carried over as the bytes that were read: unknown fields, number formats
and key order survive a rewrite.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from saco_data.catalog.manifest import Manifest
from saco_data.dataset.raw_json import AGAIN, MAX_SIDE, _bytes, _decoded, _entries, _Image, _parts
from saco_data.model.errors import AnnotationError
from saco_data.model.records import MAX_PIXELS, Product


@dataclass(frozen=True)
class Index:
    """An annotation file seen as products.

    `sha256` is that of the file's bytes; `warnings` name what differs from what was published.
    """

    path: Path
    sha256: str
    products: dict[str, Product]
    image_nps: int
    masks: int
    warnings: tuple[str, ...] = ()


def read(path: Path, manifest: Manifest) -> Index:
    """Reads and validates an annotation file.

    Raises AnnotationError for a missing or damaged file and for entries that lack what the job
    relies on; counts that differ from the published ones are warnings.
    """
    content = _bytes(path)
    parts = _parts(content, path)
    entries: dict[str, _Image] = {}
    warnings: list[str] = []
    for image in _decoded(parts, "images", _Image, path):
        first = entries.setdefault(image.file_name, image)
        if first is not image and not _same_file(first, image) and len(warnings) < 20:
            warnings.append(
                f"{path.name}: pairs {first.id} and {image.id} disagree about "
                f"{image.file_name}; the first is used"
            )
    products = {name: _product(image, path) for name, image in entries.items()}
    nps = len(_entries(parts, "images", path))
    masks = len(_entries(parts, "annotations", path))
    published = manifest.annotations
    counts = (
        ("image-NPs", nps, published.image_nps),
        ("masks", masks, published.masks),
        ("files", len(products), published.files or len(products)),
    )
    differing = [f"{found} {what} ({said})" for what, found, said in counts if found != said]
    if differing:
        warnings.append(f"{path.name} holds other counts than published: {', '.join(differing)}")
    return Index(path, hashlib.sha256(content).hexdigest(), products, nps, masks, tuple(warnings))


def _same_file(one: _Image, other: _Image) -> bool:
    return (
        one.width == other.width
        and one.height == other.height
        and one.global_frame_idx == other.global_frame_idx
        and one.original_video == other.original_video
        and one.image_size == other.image_size
    )


def _product(image: _Image, path: Path) -> Product:
    for height, width in filter(None, ((image.height, image.width), image.image_size)):
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
            raise AnnotationError(
                f"image {image.id} has the size {width} x {height}", item=str(path), remedy=AGAIN
            )
    return Product(
        image.file_name,
        image.width,
        image.height,
        image.original_video,
        image.global_frame_idx,
        image.image_size,
    )
