"""iNaturalist: a tar.gz behind a URL, and a mapping from the annotations' names to its members."""

from __future__ import annotations

import json
import random

from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar_gz
from saco_data.sandbox.recipe import MiniatureSubset, PictureRecipe, register

_FOLDER = "train_val_images/"


@register("inaturalist")
class INaturalist(PictureRecipe):
    """The archive also holds members that the annotations do not name."""

    def draw_name(self, random_: random.Random, number: int) -> tuple[str, str]:
        """See `NamedRecipe.draw_name`."""
        member = f"Aves/Parus major/{random_.getrandbits(128):032x}.jpg"
        return f"{100000 + number}.jpg", _FOLDER + member

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        others = {f"{_FOLDER}Plantae/Quercus alba/{n:032x}.jpg": b"-" * 2000 for n in range(8)}
        archive = mounts.serve("inat/train_val_images.tar.gz", pack_tar_gz(others | subset.raw))
        mapping = {name: raw.removeprefix(_FOLDER) for name, raw in subset.raw_name.items()}
        text = json.dumps(mapping).encode()
        mounts.set_endpoint("inaturalist_archive", archive)
        mounts.set_endpoint("inaturalist_mapping", mounts.serve("inat/mapping.json", text))
