"""Compares how many frames videos have with how many their annotations say."""

from __future__ import annotations

from saco_data.engine.subset import Subset
from saco_data.model.reasons import State
from saco_data.sources.video_choice import video_of
from saco_data.state.ledger import Ledger

_SHOWN = 5  # videos that are named


def describe(subset: Subset, ledger: Ledger) -> str:
    """A warning that names the videos whose annotations say another number; "" if none do.

    A video counts by its decoded frames where pictures were made of it, else by its packets.
    """
    if subset.manifest.every_fourth is None:
        return ""
    folder = f"{subset.manifest.every_fourth.folder}/"
    said: dict[str, set[int]] = {}
    counted: dict[str, int] = {}
    for name, item in ledger.items(subset.id, state=State.DONE).items():
        count, video = item.facts.get("frames"), video_of(name)
        if count is None:
            continue
        if name.endswith(".json"):
            said.setdefault(video, set()).add(count)
        elif name.startswith(folder) or video not in counted:
            counted[video] = count
    differing = [
        f"{video} has {count}, its annotations say {', '.join(map(str, sorted(said[video])))}"
        for video, count in sorted(counted.items())
        if said.get(video, {count}) != {count}
    ]
    if not differing:
        return ""
    more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    return (
        "warning: videos with another number of frames than their annotations say, at the source: "
        f"{'; '.join(differing[:_SHOWN])}{more}"
    )
