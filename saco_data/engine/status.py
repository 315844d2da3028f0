"""Counts by state and reason, from the ledger: quick for subsets of any size.

The annotation file is read only where a run was stopped before it counted what can be used.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from saco_data.config.settings import Settings
from saco_data.dataset.pruned import removed_sha256
from saco_data.engine import gone_policy
from saco_data.engine.subset import Subset, bind
from saco_data.executors.cluster import node_note
from saco_data.executors.cluster.node_note import NodeNote
from saco_data.model.errors import AnnotationError
from saco_data.model.reasons import Reason, State
from saco_data.model.snapshot import Snapshot
from saco_data.state.ledger import Ledger


@dataclass
class SubsetStatus:
    """The state of one subset: products by state, and those that are not done by reason."""

    subset: str
    total: int
    states: dict[State, int]
    reasons: dict[Reason, int]
    image_nps: tuple[int, int]  # total, kept
    masks: tuple[int, int]
    keep_list_sha256: str
    complete: bool
    # Of the kept ones, those whose picture is here: image-NPs, masks.
    usable: tuple[int, int] = (0, 0)
    waits: str = ""
    # Gone files that await their second look (`gone_confirm_hours`).
    unconfirmed: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        content: dict[str, Any] = {
            "products": {"total": self.total, **{s.value: self.states[s] for s in _ORDER}},
            "image_nps": {
                "total": self.image_nps[0],
                "kept": self.image_nps[1],
                "usable": self.usable[0],
            },
            "masks": {
                "total": self.masks[0],
                "kept": self.masks[1],
                "usable": self.usable[1],
            },
            "reasons": {reason.value: count for reason, count in self.reasons.items()},
            "keep_list_sha256": self.keep_list_sha256,
            "complete": self.complete,
        }
        if self.waits:
            content["waits"] = self.waits
        if self.unconfirmed:
            content["unconfirmed"] = self.unconfirmed
        return content


@dataclass
class Status:
    """The state of all selected subsets."""

    subsets: list[SubsetStatus] = field(default_factory=list)
    # What the nodes of a cluster do, where a run uses one.
    cluster: NodeNote | None = None

    @property
    def complete(self) -> bool:
        """Whether every subset is complete."""
        return all(each.complete for each in self.subsets)

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {
            "version": 1,
            "subsets": {each.subset: each.as_json() for each in self.subsets},
            "complete": self.complete,
            **({"cluster": self.cluster.as_json()} if self.cluster else {}),
        }


_ORDER = (State.DONE, State.PENDING, State.FAILED, State.BLOCKED, State.GONE)


def is_of_somebody_else(settings: Settings) -> bool:
    """Whether a copy is there whose ledger this user may not write."""
    return settings.state.is_dir() and not os.access(settings.state, os.W_OK)


def read(settings: Settings, ledger: Ledger, names: Sequence[str]) -> Status:
    """The status of some subsets, from the ledger and file stamps."""
    subsets = bind(settings, names)
    note = node_note.read(settings.state / "cluster")
    return Status([read_one(subset, ledger) for subset in subsets], note)


def read_one(subset: Subset, ledger: Ledger) -> SubsetStatus:
    """The status of one subset."""
    snapshot = ledger.snapshot(subset.id)
    if _counted(snapshot) is None:
        snapshot = ledger.snapshot(subset.id, products=True)
    return describe(subset, snapshot)


def describe(subset: Subset, snapshot: Snapshot) -> SubsetStatus:
    """The status of one subset; a snapshot with products also counts what no run has counted."""
    facts, counts = snapshot.facts, snapshot.counts
    states = dict.fromkeys(State, 0)
    for reason, count in counts.items():
        states[reason.state] += count
    states[State.PENDING] = facts.files - sum(
        count for state, count in states.items() if state is not State.PENDING
    )
    derived = (
        bool(facts.derived_stamp)
        and facts.derived_stamp == subset.derived_stamp()
        and facts.derived_from == facts.sha256
        and facts.stamp == subset.annotations_stamp()
    )
    return SubsetStatus(
        subset.id,
        facts.files,
        states,
        {reason: n for reason, n in counts.items() if reason.state is not State.DONE},
        (facts.image_nps, facts.image_nps_kept),
        (facts.masks, facts.masks_kept),
        facts.keep_list_sha256,
        complete=derived
        and facts.files > 0
        and subset.is_listed_in_full()
        and states[State.DONE] + states[State.GONE] == facts.files
        and not facts.unconfirmed
        and not facts.waits
        and not gone_policy.needs_confirmation(subset, snapshot),
        usable=_counted(snapshot) or _count(subset, snapshot),
        unconfirmed=facts.unconfirmed,
        waits=facts.waits[1] if facts.waits else "",
    )


def _counted(snapshot: Snapshot) -> tuple[int, int] | None:
    """The (image-NPs, masks) that can be used, as the last run counted them; None if unknown."""
    facts = snapshot.facts
    done = snapshot.counts.get(Reason.OK, 0)
    if not done:
        return 0, 0
    if facts.usable_of == [facts.sha256, done]:
        return facts.usable[0], facts.usable[1]
    removed = {key: item.reason.value for key, item in snapshot.gone.items()}
    has_all = facts.derived_from == facts.sha256 and done + len(removed) == facts.files
    if has_all and facts.removed_sha256 == removed_sha256(removed):
        return facts.image_nps_kept, facts.masks_kept
    return None


def _count(subset: Subset, snapshot: Snapshot) -> tuple[int, int]:
    """The (image-NPs, masks) whose file is here, from the annotation file."""
    known = snapshot.products or {}
    names = {name for name, item in known.items() if item.state is State.DONE}
    try:
        return subset.coverage(names)
    except AnnotationError:
        return 0, 0
