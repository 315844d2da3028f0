"""Which videos of SA-V train are used: the most edited ones, a sample, or both.

The choice depends only on the listed archives and the config, so that it is the same everywhere.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Mapping

from saco_data.config.keys import Sample
from saco_data.dataset.listing import Found


def video_of(name: str) -> str:
    """The id of the video that a file or folder belongs to: its name begins with it."""
    return name.rpartition("/")[2][: len("sav_000000")]


def choose(
    archives: Mapping[str, Found],
    among: Collection[str] | None,
    most_edited: float | None,
    sample: Sample | None,
) -> frozenset[str]:
    """The ids of the chosen videos.

    First the share `most_edited` (rounded up) of the videos with manual masklets, by the number of
    frames that were edited by hand, of equal ones the smaller id. Then, of these, as many as
    `sample` says: those with the smallest sha256 of "<seed> <id>", so that a larger sample holds
    each smaller one. `among`: the ids that count, None for all.
    """
    names = {name for found in archives.values() for name in found.names}
    videos = {video_of(name) for name in names if name.endswith(".mp4")}
    if among is not None:
        videos &= set(among)
    if most_edited is not None:
        edited: dict[str, int] = {}
        for found in archives.values():
            edited |= found.edited or {}
        ranked = sorted(videos & edited.keys(), key=lambda video: (-edited[video], video))
        videos = set(ranked[: math.ceil(most_edited * len(ranked))])
    if sample is not None:
        drawn = sorted(videos, key=lambda video: _draw(sample.seed, video))
        videos = set(drawn[: sample.videos])
    return frozenset(videos)


def _draw(seed: int, video: str) -> str:
    return hashlib.sha256(f"{seed} {video}".encode()).hexdigest()
