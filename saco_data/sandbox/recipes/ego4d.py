"""Ego4D: clips in S3, and a manifest that says in which bucket each one is."""

from __future__ import annotations

import random
from pathlib import Path

from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.recipe import MiniatureSubset, VideoRecipe, draw_uuid, register

_FOLDER = "public/v1/clips"


@register("ego4d")
class Ego4d(VideoRecipe):
    """The clips are in another bucket than their manifest, as at the consortium."""

    def draw_name(self, random_: random.Random, number: int) -> tuple[str, str]:
        """See `NamedRecipe.draw_name`."""
        video = f"{draw_uuid(random_)}.mp4"
        return video, video

    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """See `Recipe.mount`."""
        from saco_data.sandbox.s3 import ACCESS_KEY, SECRET_KEY, S3Server

        rows = [
            f"{name.removesuffix('.mp4')},s3://ego4d-university/{_FOLDER}/{name}"
            for name in subset.raw_name
        ]
        manifest = "exported_clip_uid,canonical_s3_location\n" + "\n".join(rows) + "\n"
        buckets: dict[str, dict[str, bytes | Path]] = {
            "ego4d-consortium-sharing": {f"{_FOLDER}/manifest.csv": manifest.encode()},
            "ego4d-university": {f"{_FOLDER}/{name}": raw for name, raw in subset.raw.items()},
        }
        server = mounts.stack.enter_context(S3Server(buckets))
        mounts.servers["ego4d"] = server
        mounts.environment |= server.environment
        mounts.keys["aws_access_key_id"] = ACCESS_KEY
        mounts.keys["aws_secret_access_key"] = SECRET_KEY
