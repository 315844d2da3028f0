"""Is a finished subset unchanged since its last run?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from saco_data.dataset.pruned import removed_sha256
from saco_data.engine.gone_policy import find_removable
from saco_data.engine.subset import Subset
from saco_data.model.items import Item
from saco_data.model.reasons import State
from saco_data.model.snapshot import Snapshot
from saco_data.model.version import __version__
from saco_data.storage.folders import fingerprint


def describe_end(subset: Subset, annotations: list[Any]) -> list[Any]:
    """All that a finished subset relies on, as plain data: unchanged, there is nothing to do.

    `annotations`: the stamp of the annotation file. Empty where a folder cannot be read.
    """
    config = subset.config
    watched = [config.images, *([config.frames_view] if config.frames_view else [])]
    prints = [(str(folder), fingerprint(folder)) for folder in watched]
    if any(found is None for _, found in prints):
        return []
    return [
        __version__,
        annotations,
        subset.derived_stamp(),
        subset.source.location_without_secrets(),
        config.may_prune,
        config.keys.gone_confirm_hours,
        config.removes_videos,
        *([folder, found] for folder, found in prints),
    ]


def is_unchanged(subset: Subset, snapshot: Snapshot, is_due: Callable[[Item], bool]) -> bool:
    """Whether a subset is finished, and nothing has changed since a run left it so.

    Asked before annotations are read and planned, which takes long for the largest subsets. A
    product that changed and kept its size is not seen here: verification finds it.
    """
    facts, counts = snapshot.facts, snapshot.counts
    states = {reason.state for reason in counts}
    if not facts.ended or states - {State.DONE, State.GONE} or sum(counts.values()) != facts.files:
        return False
    location = subset.source.location_without_secrets()
    for item in snapshot.gone.values():
        if is_due(item) or location not in ("", item.facts.get("place", "")):
            return False
    removed = removed_sha256(find_removable(subset, snapshot))
    now = describe_end(subset, subset.annotations_stamp())
    return removed == facts.removed_sha256 and now == facts.ended
