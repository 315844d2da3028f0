"""What people and programs are told: status, progress, and later pages and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from saco_data.plan import SubsetPlan
from saco_data.records import Outcome


class Reporter(Protocol):
    """Who is told how the run goes."""

    def begin(self, steps: SubsetPlan) -> None:
        """A subset starts; `steps` are what will be done."""

    def learned(self, subset: str, outcomes: Sequence[Outcome]) -> None:
        """Items of a subset have an outcome."""

    def note(self, subset: str, text: str) -> None:
        """Something worth a line."""

    def end(self, subset: str, code: int) -> None:
        """A subset is at its end."""
