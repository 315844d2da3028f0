"""Decisions about assets, and the plan that holds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from saco_data.model.records import Asset, Outcome


class Decision(StrEnum):
    """What is to be done with an asset and those of its products that are not done."""

    KEEP = "keep"  # done and on disk
    ADOPT = "adopt"  # on disk, but not recorded as done: verify and keep
    PROCESS = "process"  # the raw asset is on this machine
    FETCH = "fetch"  # the raw asset must be fetched first
    REST = "rest"  # gone, or not yet due: a later sync looks again
    REFUSE = "refuse"  # the annotation is wrong


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
    # The known sha256 of a product whose file or raw file is on disk.
    digests: dict[str, str] = field(default_factory=dict)
    # Files on disk that the ledger does not know as done, and that may be the right ones.
    unverified: set[str] = field(default_factory=set)
    # Finished products to be replaced by the source's new version, with the keys of their assets.
    renewed: dict[str, str] = field(default_factory=dict)
    # Products that need no step, because nothing changed since the last run (`freshness`).
    settled: int = 0
    # What killed runs left among the products; None where that was not looked for.
    left: list[Path] | None = None

    def assets(self, *decisions: Decision) -> list[Asset]:
        """The assets with one of these decisions, in the order of the annotations."""
        return [step.asset for step in self.steps if step.decision in decisions]

    def products(self, decision: Decision) -> int:
        """The number of products with this decision."""
        return sum(len(step.asset.products) for step in self.steps if step.decision is decision)
