"""Food Recognition: a tar.gz of the public validation set."""

from __future__ import annotations

import random

from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar_gz
from saco_data.sandbox.recipe import MiniatureSubset, PictureRecipe, register


@register("food_rec")
class FoodRec(PictureRecipe):
    """The annotations put the name of the set before each file name."""

    def draw_name(self, random_: random.Random, number: int) -> tuple[str, str]:
        """See `NamedRecipe.draw_name`."""
        name = f"{6316 + number:06d}.jpg"
        return f"public_validation_set_2.0_{name}", f"public_validation_set_2.0/images/{name}"

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        content = pack_tar_gz(subset.raw)
        mounts.keys["food_rec_raw"] = mounts.write("public_validation_set_2.0.tar.gz", content)
