"""YT-Temporal-1B: videos on YouTube."""

from __future__ import annotations

import random
from pathlib import Path

from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.recipe import MiniatureSubset, VideoRecipe, register

_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"


@register("yt1b")
class Yt1b(VideoRecipe):
    """Videos are named by their id of eleven characters."""

    def draw_name(self, random_: random.Random, number: int) -> tuple[str, str]:
        """See `NamedRecipe.draw_name`."""
        video = "".join(random_.choices(_ALPHABET, k=10)) + random_.choice("AEIMQUYcgkosw048")
        return video, video

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        from saco_data.sandbox.proxy import ConnectProxy
        from saco_data.sandbox.youtube import YouTube

        videos = {
            name: Path(mounts.write(f"youtube/{name}.mp4", raw)) for name, raw in subset.raw.items()
        }
        site = YouTube(videos)
        proxy = mounts.stack.enter_context(ConnectProxy(site.handlers()))
        mounts.servers["yt1b"], mounts.servers["proxy"] = site, proxy
        mounts.environment |= proxy.environment
        mounts.lift_rate_limit("yt1b")
