"""FathomNet: an API that finds images by UUID, and the images themselves."""

from __future__ import annotations

import random

from saco_data.sandbox.fathomnet import FathomNet
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.recipe import MiniatureSubset, PictureRecipe, draw_uuid, register


@register("fathomnet")
class FathomNetRecipe(PictureRecipe):
    """Images are named by UUID."""

    def draw_name(self, random_: random.Random, number: int) -> tuple[str, str]:
        """See `NamedRecipe.draw_name`."""
        name = f"{draw_uuid(random_)}.jpg"
        return name, name

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        images = {name.removesuffix(".jpg"): content for name, content in subset.raw.items()}
        mounts.set_endpoint("fathomnet_api", FathomNet(images).mount(mounts.server))
        mounts.lift_rate_limit("fathomnet")
