"""BDD100K: one tar of all pictures, as behind the login page."""

from __future__ import annotations

import random

from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar
from saco_data.sandbox.recipe import MiniatureSubset, PictureRecipe, register


@register("bdd100k")
class Bdd100k(PictureRecipe):
    """The tar is complete: a picture that it does not hold does not exist."""

    def draw_name(self, random_: random.Random, number: int) -> tuple[str, str]:
        """See `NamedRecipe.draw_name`."""
        name = f"{random_.getrandbits(32):08x}-{random_.getrandbits(32):08x}.jpg"
        return name, f"bdd100k/images/100k/train/{name}"

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        content = pack_tar(subset.raw)
        mounts.keys["bdd100k_raw"] = mounts.write("bdd100k_images_100k.tar", content)
