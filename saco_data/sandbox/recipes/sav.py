"""SA-V: a tar of 6-fps videos behind a signed link in a table of links."""

from __future__ import annotations

import random

from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar
from saco_data.sandbox.recipe import MiniatureSubset, VideoRecipe, register


@register("sav")
class Sav(VideoRecipe):
    """The table lists other archives too."""

    fps = 6

    def draw_name(self, random_: random.Random, number: int) -> tuple[str, str]:
        """See `NamedRecipe.draw_name`."""
        return f"sav_{number + 1:06d}.mp4", f"videos_fps_6/sav_{number + 1:06d}.mp4"

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        link = mounts.serve("cdn/videos_fps_6.tar", pack_tar(subset.raw))
        rows = [("file_name", "cdn_link"), ("sav_val.tar", f"{mounts.server.url}/cdn/sav_val.tar")]
        rows.append(("videos_fps_6.tar", f"{link}?Expires=1900000000&Signature=sandbox"))
        text = "".join("\t".join(row) + "\n" for row in rows)
        mounts.keys["sav_links_file"] = mounts.write("sav_links.txt", text.encode())
