"""What is to be done: a decision for each asset, gathered in a plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from saco_data.model.records import Asset, Outcome


class Decision(StrEnum):
    """What is to be done with an asset and those of its products that are not done."""

    KEEP = "keep"  # done and on disk
    ADOPT = "adopt"  # on disk, but not known to be done: verify and keep
    PROCESS = "process"  # the raw asset is at hand
    FETCH = "fetch"  # the raw asset must be fetched first
    REST = "rest"  # gone, or not yet due: a later sync looks again
    REFUSE = "refuse"  # the annotation itself is at fault


@dataclass(frozen=True, slots=True)
class Step:
    """One decision: the asset with only those products that it concerns."""

    decision: Decision
    asset: Asset
    outcome: Outcome | None = None  # why an item is refused


@dataclass
class SubsetPlan:
    """All steps of one subset."""

    subset: str
    steps: list[Step] = field(default_factory=list)
    # The sha256 that a product had, where it is known and its file or raw file lies on the disk.
    digests: dict[str, str] = field(default_factory=dict)
    # Files on disk that the ledger does not know as done, and that may be the right ones.
    unverified: set[str] = field(default_factory=set)
    # Products that are done and to be replaced by what the source has now, with their assets.
    renewed: dict[str, str] = field(default_factory=dict)
    # Products that need no step, because nothing changed since the last run (`freshness`).
    settled: int = 0

    def assets(self, *decisions: Decision) -> list[Asset]:
        """The assets with one of these decisions, in the order of the annotations."""
        return [step.asset for step in self.steps if step.decision in decisions]

    def products(self, decision: Decision) -> int:
        """How many products a decision concerns."""
        return sum(len(step.asset.products) for step in self.steps if step.decision is decision)
