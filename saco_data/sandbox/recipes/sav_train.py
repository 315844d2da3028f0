"""SA-V train: three shards of four videos with manual and automatic masklets."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from saco_data.sandbox.encoding import encode_mp4
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar
from saco_data.sandbox.recipe import MiniatureSubset, Recipe, register
from saco_data.sandbox.recipes.sav_splits import EVERY, LINKS
from saco_data.sandbox.scene import Scene, draw_scene

SHARDS, VIDEOS, FRAMES = 3, 4, 48
FPS = 24


@register("sa-v/train")
class SavTrain(Recipe):
    """Videos of two seconds; the last of each shard has no automatic masklets."""

    def draw(self, random_: random.Random) -> MiniatureSubset:
        """See `Recipe.draw`."""
        subset = MiniatureSubset(self.name)
        for shard in range(SHARDS):
            numbers = sorted(random_.sample(range(shard * 1000, shard * 1000 + 1000), VIDEOS))
            for number in numbers:
                video = f"sav_{number:06d}"
                path = f"sav_train/sav_{shard:03d}/{video}"
                scene = draw_scene(random_, 160, 120, numbered=True, frames=FRAMES)
                subset.raw[f"{path}.mp4"] = encode_mp4(scene, FRAMES, fps=FPS)
                kinds = ("manual",) if number == numbers[-1] else ("manual", "auto")
                for kind in kinds:
                    content = json.dumps(_annotate(video, scene)).encode()
                    subset.raw[f"{path}_{kind}.json"] = content
        # The last file of a miniature is missing at the source: one that is not a product.
        subset.raw["sav_train/.DS_Store"] = b"\0"
        return subset

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        if "sa-v" not in mounts.servers:
            mounts.servers["sa-v"] = LinksCdn(mounts.server)
        cdn: LinksCdn = mounts.servers["sa-v"]
        for shard in range(SHARDS):
            folder = f"sav_train/sav_{shard:03d}/"
            own = {name: raw for name, raw in subset.raw.items() if name.startswith(folder)}
            cdn.offer(f"sav_{shard:03d}.tar", pack_tar(own))
        keys = mounts.keys.setdefault("collections", {}).setdefault("sa-v", {})
        keys |= {"links_file": mounts.write(LINKS, cdn.renew()), "shards": [f"0-{SHARDS - 1}"]}

    def annotation_files(self, subset: MiniatureSubset) -> dict[str, bytes]:
        """None: the listing of the archives is the index."""
        return {}


def _annotate(video: str, scene: Scene) -> dict[str, Any]:
    """The content of an annotation file, with the statistics of its masks."""
    from pycocotools import mask as coding

    rows: list[list[dict[str, Any]]] = []
    areas: list[list[int]] = []
    for time in range(0, FRAMES, EVERY):
        masks = [mask for _, mask in scene.masks(time)]
        packed = [coding.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
        rows.append([{"size": [120, 160], "counts": _text(each["counts"])} for each in packed])
        areas.append([int(mask.sum()) for mask in masks])
    count = len(areas[0])
    means = [sum(row[at] for row in areas) / len(areas) for at in range(count)]
    return {
        "video_id": video,
        "video_width": 160.0,
        "video_height": 120.0,
        "video_frame_count": float(FRAMES),
        "masklet_id": list(range(count)),
        "masklet_num": count,
        "masklet_first_appeared_frame": [0.0] * count,
        "masklet_visibility_changes": [0] * count,
        "masklet_size_abs": means,
        "masklet_size_rel": [mean / (160 * 120) for mean in means],
        "masklet_frame_count": [len(rows)] * count,
        "masklet": rows,
    }


def _text(counts: str | bytes) -> str:
    return counts if isinstance(counts, str) else counts.decode()
