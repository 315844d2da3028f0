"""The stages of a run, the events and results of its subsets, and the reporter."""

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
    """Outcomes for the ledger, in the order in which they happened."""

    subset: str
    outcomes: list[Outcome]


@dataclass(frozen=True)
class Listed:
    """A node has read an archive, which the listing names now; `steps`: what it did with it."""

    subset: str
    steps: SubsetPlan


@dataclass(frozen=True)
class Ended:
    """A subset has ended; `error` is what stopped it early, if anything did."""

    subset: str
    error: BaseException | None


Event = Learned | Listed | Ended


@dataclass
class Result:
    """How a subset ended: exit code, changes, and the error that stopped it early, if any."""

    subset: str
    code: int = 0
    steps: SubsetPlan | None = None
    error: BaseException | None = None
    changed: dict[str, int] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)
    # Products that the source said are gone in this run, and whether it throttled us.
    seen_gone: set[str] = field(default_factory=set)
    throttled: bool = False
    # The stamp of the annotation file, taken before it was read.
    stamped: list[Any] = field(default_factory=list)


class Reporter(Protocol):
    """Receives the progress of a run. A progress bar, a log and a test implement it."""

    def begin(self, steps: SubsetPlan) -> None:
        """A subset starts, or goes on with its next archive; `steps` is its plan."""

    def learned(self, subset: str, outcomes: Sequence[Outcome]) -> None:
        """Items of a subset have an outcome."""

    def note(self, subset: str, text: str) -> None:
        """A line for the user; `subset` is empty if it is about the whole run."""

    def end(self, subset: str, code: int) -> None:
        """A subset has ended with this exit code."""


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
