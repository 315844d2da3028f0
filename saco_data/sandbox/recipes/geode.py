"""GeoDE: a zip with an index of its pictures."""

from __future__ import annotations

import random

from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_zip
from saco_data.sandbox.recipe import MiniatureSubset, PictureRecipe, register


@register("geode")
class Geode(PictureRecipe):
    """The annotations join the folders of the zip with underscores."""

    def draw_name(self, random_: random.Random, number: int) -> tuple[str, str]:
        """See `NamedRecipe.draw_name`."""
        path = f"Africa/Egypt/bag/{number:04d}.jpg"
        return path.replace("/", "_"), f"images/{path}"

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        rows = [name.removeprefix("images/") for name in subset.raw]
        index = "file_path,object\n" + "".join(f"{row},bag\n" for row in rows)
        members = {"index.csv": index.encode(), **subset.raw}
        mounts.keys["geode_raw"] = mounts.write("geode.zip", pack_zip(members))
