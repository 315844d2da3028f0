"""SA-V val and test: tars of pictures and masks behind links that expire."""

from __future__ import annotations

import io
import random

import numpy as np
from PIL import Image

from saco_data.sandbox.encoding import encode_jpeg
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar
from saco_data.sandbox.recipe import MiniatureSubset, Recipe, register
from saco_data.sandbox.scene import draw_scene

VIDEOS, FRAMES, EVERY = 3, 9, 4
LINKS = "sa-v_links.txt"


@register("sa-v/val", "sa-v/test")
class SavSplit(Recipe):
    """Three videos of nine pictures with two objects, which are annotated on every fourth one."""

    def draw(self, random_: random.Random) -> MiniatureSubset:
        """See `Recipe.draw`."""
        subset = MiniatureSubset(self.name)
        split = f"sav_{self.name.rpartition('/')[2]}"
        ids = [f"sav_{number:06d}" for number in random_.sample(range(56000), VIDEOS)]
        subset.raw[f"{split}/{split}.txt"] = "".join(f"{each}\n" for each in ids).encode()
        for video in ids:
            scene = draw_scene(random_, 160, 120, numbered=True, frames=FRAMES)
            for time in range(FRAMES):
                path = f"{split}/JPEGImages_24fps/{video}/{time:05d}.jpg"
                subset.raw[path] = encode_jpeg(scene, time)
            for number, shape in enumerate(scene.shapes[:2]):
                for time in range(0, FRAMES, EVERY):
                    mask = Image.new("L", (160, 120))
                    shape.draw(mask, 255, time)
                    path = f"{split}/Annotations_6fps/{video}/{number:03d}/{time:05d}.png"
                    subset.raw[path] = _encode_png(mask)
        # The last file of a miniature is missing at the source: one that is not a product.
        subset.raw[f"{split}/.DS_Store"] = b"\0"
        return subset

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        if "sa-v" not in mounts.servers:
            mounts.servers["sa-v"] = LinksCdn(mounts.server)
        cdn: LinksCdn = mounts.servers["sa-v"]
        cdn.offer(f"sav_{self.name.rpartition('/')[2]}.tar", pack_tar(subset.raw))
        own = mounts.keys.setdefault("collections", {}).setdefault("sa-v", {})
        own["links_file"] = mounts.write(LINKS, cdn.renew())

    def annotation_files(self, subset: MiniatureSubset) -> dict[str, bytes]:
        """None: the archive's own listing is the index."""
        return {}


def _encode_png(mask: Image.Image) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(mask) > 0).save(buffer, "PNG")
    return buffer.getvalue()
