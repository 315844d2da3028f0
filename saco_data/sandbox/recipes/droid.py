"""DROID: videos in a public bucket of Google Cloud Storage."""

from __future__ import annotations

import random

from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.recipe import MiniatureSubset, VideoRecipe, register

_ROOT = "robotics/droid_raw/1.0.1"


@register("droid")
class Droid(VideoRecipe):
    """Both styles of time, a double underscore and a stereo camera occur in the real names."""

    def draw_name(self, random_: random.Random, number: int) -> tuple[str, str]:
        """See `NamedRecipe.draw_name`."""
        time = "Fri_Jul__7_18:50:36_2023" if number % 2 else "Fri_Jul_14_15_09_09_2023"
        camera = f"{22008760 + number}" + ("-stereo" if number == 2 else "")
        video = f"AUTOLab_success_2023-07-07_{time}_recordings_MP4_{camera}.mp4"
        return video, f"AUTOLab/success/2023-07-07/{time}/recordings/MP4/{camera}.mp4"

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        from saco_data.sandbox.gcs import GcsServer

        objects = {f"{_ROOT}/{name}": content for name, content in subset.raw.items()}
        server = mounts.stack.enter_context(GcsServer({"gresearch": objects}))
        mounts.servers["droid"] = server
        mounts.set_endpoint("droid_https", f"{server.public_url('gresearch')}/{_ROOT}")
