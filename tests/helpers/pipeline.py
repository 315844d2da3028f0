"""Runs the whole pipeline in a test and reads its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import saco_data
from saco_data.config.settings import Settings
from saco_data.engine import session
from saco_data.engine.events import Stages
from saco_data.model.items import Item
from saco_data.model.reasons import State
from saco_data.model.records import Outcome
from saco_data.planning.decisions import SubsetPlan
from saco_data.state.ledger import Ledger


class Notes:
    """A reporter that keeps the notes of a run."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, steps: SubsetPlan) -> None:
        """See `Reporter`."""

    def learned(self, subset: str, outcomes: Sequence[Outcome]) -> None:
        """See `Reporter`."""

    def note(self, subset: str, text: str) -> None:
        """See `Reporter`."""
        self.lines.append(f"{subset}: {text}")

    def end(self, subset: str, code: int) -> None:
        """See `Reporter`."""


def prepare(
    settings: Settings, *subsets: str, stages: Stages | None = None, notes: Notes | None = None
) -> int:
    """Prepares subsets as `saco prepare` does; returns the exit code."""
    return session.run(settings, subsets, "test", notes or Notes(), stages=stages)


def products(settings: Settings, subset: str) -> dict[str, bytes]:
    """All product files by name."""
    root = settings.subset(subset).images
    return {
        str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def items(settings: Settings, subset: str) -> dict[str, Item]:
    """The ledger's items of a subset, by product."""
    with Ledger(settings.state, read_only=True) as ledger:
        return ledger.items(subset)


def states(settings: Settings, subset: str) -> dict[str, State]:
    """The state of each product in the ledger."""
    return {key: item.state for key, item in items(settings, subset).items()}


def is_unpruned(settings: Settings, subset: str) -> bool:
    """Whether the annotations for evaluation hold every entry, byte for byte."""
    config = settings.subset(subset)
    return config.derived.read_bytes() == config.pristine.read_bytes()


def result_of(settings: Settings, subset: str) -> dict[str, Any]:
    """All that a run of a listed subset leaves for its user: products, listing, ledger, status."""
    known = {
        name: (item.reason, item.sha256, item.facts)
        for name, item in items(settings, subset).items()
    }
    return {
        **products(settings, subset),
        "listing": settings.subset(subset).pristine.read_bytes(),
        "ledger": known,
        "status": saco_data.status(settings).as_json(),
    }
