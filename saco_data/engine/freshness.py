"""Is a finished subset unchanged since its last run?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from saco_data import __version__
from saco_data.config.settings import Settings
from saco_data.dataset.pruned import removed_sha256, sidecar
from saco_data.engine.gone_policy import removable
from saco_data.model.items import Item
from saco_data.model.reasons import State
from saco_data.sources import Source
from saco_data.state.ledger import Ledger
from saco_data.storage.files import stamp
from saco_data.storage.folders import fingerprint


def ending(settings: Settings, source: Source, annotations: list[Any]) -> list[Any]:
    """All that a finished subset relies on, as plain data: unchanged, there is nothing to do.

    `annotations`: the stamp of the annotation file. Empty where it cannot be told.
    """
    subset = source.name
    view = settings.frames(subset)
    watched = [settings.images(subset), *([view] if view else [])]
    prints = [(str(folder), fingerprint(folder)) for folder in watched]
    if any(found is None for _, found in prints):
        return []
    return [
        __version__,
        annotations,
        derived_stamp(settings, subset),
        source.whence(),
        settings.may_prune(subset),
        settings.keys.gone_confirm_hours,
        settings.removes_videos(subset),
        *([folder, found] for folder, found in prints),
    ]


def settled(
    settings: Settings, ledger: Ledger, source: Source, look_again: Callable[[Item], bool]
) -> bool:
    """Whether a subset is finished, and nothing has changed since a run left it so.

    Asked before the annotations are read and planned, which takes long for the largest subsets.
    What it does not see is a product that changed and kept its size: that is what verification is
    for.
    """
    facts = ledger.facts(source.name)
    counts = ledger.counts(source.name)
    states = {reason.state for reason in counts}
    if not facts.ended or states - {State.DONE, State.GONE} or sum(counts.values()) != facts.files:
        return False
    place = source.whence()
    for item in ledger.items(source.name, state=State.GONE).values():
        if look_again(item) or place not in ("", item.facts.get("place", "")):
            return False
    removed = removed_sha256(removable(settings, ledger, source.name))
    now = ending(settings, source, stamp(settings.pristine(source.name)))
    return removed == facts.removed_sha256 and now == facts.ended


def derived_stamp(settings: Settings, subset: str) -> list[Any]:
    """The stamps of the annotations for evaluation and of the record of what they lack."""
    path = settings.pruned(subset)
    return [*stamp(path), *stamp(sidecar(path))]
