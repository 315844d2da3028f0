"""Counts by state and reason. Reads only the ledger: quick for subsets of any size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from saco_data.config.settings import Settings
from saco_data.engine import gone_policy
from saco_data.engine.subset import Subset, bind
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
    waits: str = ""
    # Gone files that await their second look (`gone_confirm_hours`).
    unconfirmed: int = 0

    @property
    def missing(self) -> int:
        """Files that are neither there nor gone: the annotations still name them."""
        return self.total - self.states[State.DONE] - self.states[State.GONE]

    @property
    def usable(self) -> tuple[int, int] | None:
        """The kept pairs and masks; None while files are missing that have some of them."""
        return None if self.missing else (self.image_nps[1], self.masks[1])

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        content: dict[str, Any] = {
            "products": {"total": self.total, **{s.value: self.states[s] for s in _ORDER}},
            "image_nps": {"total": self.image_nps[0], "kept": self.image_nps[1]},
            "masks": {"total": self.masks[0], "kept": self.masks[1]},
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

    @property
    def complete(self) -> bool:
        """Whether every subset is complete."""
        return all(each.complete for each in self.subsets)

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {
            "subsets": {each.subset: each.as_json() for each in self.subsets},
            "complete": self.complete,
        }


_ORDER = (State.DONE, State.PENDING, State.FAILED, State.BLOCKED, State.GONE)


def read(settings: Settings, ledger: Ledger, names: Sequence[str]) -> Status:
    """The status of some subsets, from the ledger and file stamps."""
    subsets = bind(settings, names)
    return Status([describe(subset, ledger.snapshot(subset.id)) for subset in subsets])


def describe(subset: Subset, snapshot: Snapshot) -> SubsetStatus:
    """The status of one subset."""
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
        and states[State.DONE] + states[State.GONE] == facts.files
        and not facts.unconfirmed
        and not facts.waits
        and not gone_policy.needs_confirmation(subset, snapshot),
        unconfirmed=facts.unconfirmed,
        waits=facts.waits[1] if facts.waits else "",
    )
