"""DaTaSeg Objects365: five archives with eight pictures, of which six in all are annotated."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from saco_data.sandbox.encoding import encode_jpeg
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar_gz
from saco_data.sandbox.recipe import MiniatureSubset, PictureRecipe, register

PATCHES = (0, 4, 15, 16, 43)
PICTURES = 8
MISSPELT = "Moniter/TV"


@register("o365/val")
class Objects365(PictureRecipe):
    """The other pictures of the archives are drawn when they are packed."""

    def draw_name(self, random_: random.Random, number: int) -> tuple[str, str]:
        """See `NamedRecipe.draw_name`."""
        patch = PATCHES[number % len(PATCHES)]
        version = 1 if patch < 16 else 2
        name = f"patch{patch}/objects365_v{version}_{number * 1000 + patch:08d}.jpg"
        return f"images/v{version}/{name}", name

    def annotation_files(self, subset: MiniatureSubset) -> dict[str, bytes]:
        """One COCO file: polygons, RLE, and entries whose question was skipped."""
        from pycocotools import mask as coding

        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for number, entry in enumerate(subset.entries):
            width, height = entry.size
            picture = {"id": 215264 + number, "license": 5, "url": ""}
            images.append(
                {**picture, "file_name": entry.file_name, "width": width, "height": height}
            )
            for _, mask in entry.scene.masks(0):
                kind = len(annotations) % 3
                found: dict[str, Any] = {"id": len(annotations) + 1, "image_id": picture["id"]}
                found |= {"category_id": 1 + kind, "iscrowd": 0, "area": int(mask.sum())}
                left, top, wide, high = (int(value) for value in _box(mask))
                found["bbox"] = [left, top, wide, high]
                if kind == 0:
                    right, low = left + wide, top + high
                    found["segmentation"] = [[left, top, right, top, right, low, left, low]]
                elif kind == 1:
                    packed = coding.encode(np.asfortranarray(mask.astype(np.uint8)))
                    counts = packed["counts"]
                    assert isinstance(counts, bytes)
                    found["segmentation"] = {"size": list(mask.shape), "counts": counts.decode()}
                annotations.append(found)
        names = ("Person", "Sneakers", MISSPELT)
        categories = [{"id": at + 1, "name": name} for at, name in enumerate(names)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        return {"o365_instance_seg_val.json": json.dumps(content).encode()}

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        other = next(iter(subset.raw.values()), encode_jpeg(subset.entries[0].scene))
        for patch in PATCHES:
            version = 1 if patch < 16 else 2
            own = {name: raw for name, raw in subset.raw.items() if f"patch{patch}/" in name}
            fillers = {
                f"patch{patch}/objects365_v{version}_{90000000 + number:08d}.jpg": other
                for number in range(PICTURES - len(own))
            }
            packed = pack_tar_gz(dict(sorted({**own, **fillers}.items())))
            mounts.serve(f"o365/v{version}/patch{patch}.tar.gz", packed)
        mounts.set_endpoint("o365_val_archive", f"{mounts.server.url}/o365")
        (content,) = self.annotation_files(subset).values()
        mounts.set_endpoint("o365_val_annotations", mounts.serve("o365/val.json", content))


def _box(mask: Any) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, 1, 1
    return columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1
