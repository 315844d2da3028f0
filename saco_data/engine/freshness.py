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
from saco_data.storage.files import stamp
from saco_data.storage.folders import fingerprint


def describe_end(subset: Subset, annotations: list[Any]) -> list[Any]:
    """All that a finished subset depends on, as plain data. Empty where a folder cannot be read.

    A later run that finds the same data has nothing to do. `annotations`: the stamp of the
    annotation file.
    """
    config = subset.config
    watched = [config.watched, *([config.frames_view] if config.frames_view else [])]
    fingerprints = [(str(folder), fingerprint(folder)) for folder in watched]
    if any(value is None for _, value in fingerprints):
        return []
    return [
        *_describe_settings(subset, annotations),
        *([folder, value] for folder, value in fingerprints),
        *(stamp(config.published) if config.bucket else []),
    ]


def _describe_settings(subset: Subset, annotations: list[Any]) -> list[Any]:
    """The first entries of `describe_end`: what is known without reading a folder."""
    config = subset.config
    return [
        __version__,
        annotations,
        subset.derived_stamp(),
        subset.source.location_without_secrets(),
        config.may_prune,
        config.keys.gone_confirm_hours,
        config.removes_videos,
    ]


def is_unchanged(subset: Subset, snapshot: Snapshot, is_due: Callable[[Item], bool]) -> bool:
    """Whether a subset is finished and unchanged since the run that finished it.

    Quick: reads neither annotations nor products, which takes long for the largest subsets. A
    product that changed and kept its size is not noticed here, but by `saco verify` and `sync`.
    """
    facts, counts = snapshot.facts, snapshot.counts
    states = {reason.state for reason in counts}
    if not facts.ended or states - {State.DONE, State.GONE} or sum(counts.values()) != facts.files:
        return False
    if facts.partial_lacks and facts.partial_stamp != subset.partial_stamp():
        return False
    location = subset.source.location_without_secrets()
    for item in snapshot.gone.values():
        if is_due(item) or location not in ("", item.facts.get("place", "")):
            return False
    if removed_sha256(find_removable(subset, snapshot)) != facts.removed_sha256:
        return False
    annotations = subset.annotations_stamp()
    # Folders last: where anything else differs, the plan lists them anyway.
    settings = _describe_settings(subset, annotations)
    if facts.ended[: len(settings)] != settings:
        return False
    return facts.ended == describe_end(subset, annotations)
