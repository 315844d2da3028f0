"""Writes annotation files in the shape of SA-Co/Silver for drawn scenes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from saco_data.sandbox.scene import Scene


@dataclass(frozen=True)
class Entry:
    """One product: a scene at frame `time`, its (width, height), and its video if it is a frame."""

    file_name: str
    scene: Scene
    size: tuple[int, int]
    time: int = 0
    video: str | None = None


def build_document(subset: str, entries: Iterable[Entry]) -> dict[str, Any]:
    """An annotation file: image-NP pairs with a mask for every instance, and negative phrases."""
    images: list[dict[str, Any]] = []
    masks: list[dict[str, Any]] = []
    for entry in entries:
        found = list(entry.scene.masks(entry.time))
        for phrase, _ in entry.scene.phrases():
            image_id = 10_000_000 + len(images)
            images.append(_image(image_id, phrase, entry))
            for shape, mask in found:
                if shape.phrase == phrase and mask.any():
                    masks.append(_mask(len(masks) + 1, image_id, mask, entry.size))
    return {
        "info": {"description": f"Miniature of SA-Co/Silver {subset}", "version": "sandbox"},
        "images": images,
        "annotations": masks,
        "categories": [{"id": 1, "name": "object"}],
    }


def _image(image_id: int, phrase: str, entry: Entry) -> dict[str, Any]:
    width, height = entry.size
    image: dict[str, Any] = {
        "id": image_id,
        "file_name": entry.file_name,
        "text_input": phrase,
        "width": width,
        "height": height,
        "queried_category": "3",
        "is_instance_exhaustive": 1,
        "is_pixel_exhaustive": 1,
    }
    if entry.video is not None:
        image["original_video"] = entry.video
        image["global_frame_idx"] = entry.time
        image["image_size"] = [height, width]
    return image


def _mask(number: int, image_id: int, mask: Any, size: tuple[int, int]) -> dict[str, Any]:
    from pycocotools import mask as rle

    width, height = size
    if mask.shape != (height, width):
        scaled = Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)
        mask = np.asarray(scaled)
    encoded = rle.encode(np.asfortranarray(mask))
    counts = encoded["counts"]
    x, y, w, h = (float(each) for each in rle.toBbox(encoded))
    return {
        "id": number,
        "image_id": image_id,
        "bbox": [x / width, y / height, w / width, h / height],
        "area": float(rle.area(encoded)) / (width * height),
        "segmentation": {
            "counts": counts.decode() if isinstance(counts, bytes) else counts,
            "size": [height, width],
        },
        "category_id": 1,
        "iscrowd": 0,
        "source": "sandbox",
    }
