"""The National Gallery of Art: a catalogue of published images and a IIIF server."""

from __future__ import annotations

import random

from saco_data.sandbox.encoding import enlarge_jpeg
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.nga import Gallery, Picture
from saco_data.sandbox.recipe import MiniatureSubset, PictureRecipe, draw_uuid, register


@register("nga")
class Nga(PictureRecipe):
    """Of the missing picture, the catalogue has the row and the server has no image."""

    def draw_name(self, random_: random.Random, number: int) -> tuple[str, str]:
        """See `NamedRecipe.draw_name`."""
        name = f"{draw_uuid(random_)}.jpg"
        return name, name

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        # One picture is published smaller than it is, one is larger than it was annotated.
        limits = {0: 640, 1: 160}
        gallery = Gallery()
        for number, (name, content) in enumerate(subset.raw.items()):
            is_large = number in (1, 2)
            picture = Picture(enlarge_jpeg(content) if is_large else content, limits.get(number))
            gallery.pictures[name.removesuffix(".jpg")] = picture
        for name in subset.missing:
            gone = Picture(next(iter(subset.raw.values())), available=False)
            gallery.pictures[name.removesuffix(".jpg")] = gone
        catalogue, iiif = gallery.mount(mounts.server)
        mounts.set_endpoint("nga_catalogue", catalogue)
        mounts.set_endpoint("nga_iiif", iiif)
        mounts.lift_rate_limit("nga")
