"""What happens in a run: its stages, the events and results of subsets, and the reporter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from saco_data.model.changes import Changes
from saco_data.model.records import Outcome
from saco_data.planning.decisions import SubsetPlan


@dataclass(frozen=True)
class Stages:
    """Which stages a command carries out."""

    fetch: bool = True
    process: bool = True


@dataclass(frozen=True)
class Learned:
    """Outcomes for the ledger, in the order in which they came about."""

    subset: str
    outcomes: list[Outcome]


@dataclass(frozen=True)
class Ended:
    """The subset has ended; `error` is what stopped it early."""

    subset: str
    error: BaseException | None


Event = Learned | Ended


@dataclass
class Result:
    """How a subset ended: exit code, what was done, and the error that stopped it, if any."""

    subset: str
    code: int = 0
    steps: SubsetPlan | None = None
    error: BaseException | None = None
    changed: dict[str, int] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    # What the source said is gone in this run, and whether it was throttled meanwhile.
    seen_gone: set[str] = field(default_factory=set)
    throttled: bool = False
    # The stamp of the annotation file when it was read.
    stamped: list[Any] = field(default_factory=list)


class Reporter(Protocol):
    """Receives the progress of a run: a progress bar, a log, a test."""

    def begin(self, steps: SubsetPlan) -> None:
        """A subset starts; `steps` are what will be done."""

    def learned(self, subset: str, outcomes: Sequence[Outcome]) -> None:
        """Items of a subset have an outcome."""

    def note(self, subset: str, text: str) -> None:
        """Something worth a line."""

    def end(self, subset: str, code: int) -> None:
        """A subset is at its end."""


class Silent:
    """A reporter that does nothing."""

    def begin(self, steps: SubsetPlan) -> None:
        """See `Reporter`."""

    def learned(self, subset: str, outcomes: Sequence[Outcome]) -> None:
        """See `Reporter`."""

    def note(self, subset: str, text: str) -> None:
        """See `Reporter`."""

    def end(self, subset: str, code: int) -> None:
        """See `Reporter`."""
