"""The log of all runs in `.saco/logs`, one file a month."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path

from saco_data.engine.events import Reporter
from saco_data.model.records import Outcome
from saco_data.model.words import when
from saco_data.planning.decisions import SubsetPlan
from saco_data.report.console import Lines, readable

LINE_SECONDS = 600.0


class Log(Lines):
    """Lines with date and time in UTC. Where the log cannot be written, the run goes on."""

    def __init__(self, state: Path) -> None:
        super().__init__(line_seconds=LINE_SECONDS)
        self._folder = state / "logs"

    def note(self, subset: str, text: str) -> None:
        """See `Reporter`."""
        now = when(int(time.time()), seconds=True)
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            # One short write at the end of a file: other processes may write too.
            with (self._folder / f"{now[:7]}.log").open("a", encoding="utf-8") as file:
                file.write(f"{now} {readable(subset, text)}\n")


class Logged:
    """A reporter that also writes to a log."""

    def __init__(self, reporter: Reporter, log: Log) -> None:
        self._both: tuple[Reporter, Reporter] = (reporter, log)

    def begin(self, steps: SubsetPlan) -> None:
        """See `Reporter`."""
        for each in self._both:
            each.begin(steps)

    def learned(self, subset: str, outcomes: Sequence[Outcome]) -> None:
        """See `Reporter`."""
        for each in self._both:
            each.learned(subset, outcomes)

    def note(self, subset: str, text: str) -> None:
        """See `Reporter`."""
        for each in self._both:
            each.note(subset, text)

    def end(self, subset: str, code: int) -> None:
        """See `Reporter`."""
        for each in self._both:
            each.end(subset, code)
