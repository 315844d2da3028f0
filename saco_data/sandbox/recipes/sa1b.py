"""SA-1B: three shards of four pictures with masks, behind links that expire."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from saco_data.sandbox.encoding import encode_jpeg
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar
from saco_data.sandbox.recipe import MiniatureSubset, Recipe, register
from saco_data.sandbox.scene import Scene, draw_scene

SHARDS, PICTURES = 3, 4
A_SHARD = 11186  # numbers of pictures in a shard of the release
LINKS = "sa1b_links.txt"


@register("sa1b/train")
class Sa1b(Recipe):
    """Pictures of 160 x 120 pixels; the JSON of each lies beside it in the tar."""

    def draw(self, random_: random.Random) -> MiniatureSubset:
        """See `Recipe.draw`."""
        subset = MiniatureSubset(self.name)
        for shard in range(SHARDS):
            first = shard * A_SHARD + 1
            for number in sorted(random_.sample(range(first, first + A_SHARD), PICTURES)):
                path = f"sa_{shard:06d}/sa_{number}"
                scene = draw_scene(random_, 160, 120)
                subset.raw[f"{path}.jpg"] = encode_jpeg(scene)
                subset.raw[f"{path}.json"] = json.dumps(annotate(number, scene)).encode()
        # The last file of a miniature is missing at the source: one that is not a product.
        subset.raw["sa_000000/.DS_Store"] = b"\0"
        return subset

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        cdn = mounts.servers["sa1b"] = LinksCdn(mounts.server, "/sa1b/")
        for shard in range(SHARDS):
            folder = f"sa_{shard:06d}/"
            own = {name: raw for name, raw in subset.raw.items() if name.startswith(folder)}
            cdn.offer(f"sa_{shard:06d}.tar", pack_tar(own))
        keys = mounts.keys.setdefault("collections", {}).setdefault("sa1b", {})
        keys |= {"links_file": mounts.write(LINKS, renew(cdn)), "shards": [f"0-{SHARDS - 1}"]}

    def annotation_files(self, subset: MiniatureSubset) -> dict[str, bytes]:
        """None: the archives are the index."""
        return {}


def renew(cdn: LinksCdn) -> bytes:
    """New links: the content of the links file. As the real one, it is not sorted."""
    header, first, *others = cdn.renew().decode().splitlines()
    rows = [row for row in others if not row.startswith("sav_")]
    beside = [
        f"{name}\t{cdn.server.url}/{name}" for name in ("sa_images_ids.txt", "sa_co_gold.tar")
    ]
    return "\n".join([header, *rows, *beside, first]).encode()


def annotate(number: int, scene: Scene) -> dict[str, Any]:
    """The content of the JSON of a picture."""
    from pycocotools import mask as coding

    annotations = []
    for at, (_, mask) in enumerate(scene.masks(0)):
        packed = coding.encode(np.asfortranarray(mask.astype(np.uint8)))
        counts = packed["counts"]
        assert isinstance(counts, bytes)
        annotations.append(
            {
                "id": number * 1000 + at,
                "segmentation": {"size": list(mask.shape), "counts": counts.decode()},
                "bbox": [float(each) for each in coding.toBbox(packed)],
                "area": int(mask.sum()),
                "predicted_iou": 0.9 + at / 100,
                "stability_score": 0.95,
                "crop_box": [0.0, 0.0, 160.0, 120.0],
                "point_coords": [[80.5, 60.25]],
            }
        )
    image = {"image_id": number, "width": 160, "height": 120, "file_name": f"sa_{number}.jpg"}
    return {"image": image, "annotations": annotations}
