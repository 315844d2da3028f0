"""Progress on a terminal: a bar for each subset that runs, a line for each that ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
)
from rich.table import Column
from rich.text import Text

from saco_data.model.records import Outcome
from saco_data.model.words import human, lasting
from saco_data.planning.decisions import SubsetPlan
from saco_data.report.console import Tally, first_line, readable, tally_of

# Seconds over which speed is averaged: slow sources give all frames of a video at once, then
# nothing for a minute.
_SPEED_SECONDS = 300.0
_REFRESHES = 4  # per second


class Bars:
    """A `Reporter` for terminals.

    A subset has a bar while it runs, and one line once it has ended. `console` is that of stderr.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None, table_column=Column(min_width=6, max_width=30, ratio=1)),
            MofNCompleteColumn(),
            _Pace(),
            TextColumn("{task.fields[trouble]}", table_column=Column(no_wrap=True, ratio=2)),
            console=self._console,
            refresh_per_second=_REFRESHES,
            speed_estimate_period=_SPEED_SECONDS,
            transient=True,
            expand=True,
        )
        self._tallies: dict[str, Tally] = {}
        self._tasks: dict[str, TaskID] = {}

    def begin(self, steps: SubsetPlan) -> None:
        """See `Reporter`."""
        self.end(steps.subset, 0)
        tally = tally_of(steps)
        if not tally.wanted:
            self.note(steps.subset, first_line(tally))
            return
        self._tallies[steps.subset] = tally
        if not self._tasks:
            self._progress.start()
        self._tasks[steps.subset] = self._progress.add_task(
            steps.subset, total=tally.wanted, trouble="", bytes=0
        )

    def learned(self, subset: str, outcomes: Sequence[Outcome]) -> None:
        """See `Reporter`."""
        tally = self._tallies.get(subset)
        if tally is None:
            return
        tally.add(outcomes)
        self._progress.update(
            self._tasks[subset],
            completed=tally.settled,
            trouble=escape(tally.trouble()),
            bytes=tally.bytes,
        )

    def note(self, subset: str, text: str) -> None:
        """See `Reporter`."""
        self._console.print(
            readable(subset, text), markup=False, highlight=False, soft_wrap=True, emoji=False
        )

    def end(self, subset: str, code: int) -> None:
        """See `Reporter`."""
        tally = self._tallies.pop(subset, None)
        if tally is None:
            return
        self._progress.remove_task(self._tasks.pop(subset))
        self._progress.refresh()
        self.note(subset, tally.last_line())
        if not self._tasks:
            self._progress.stop()

    def close(self) -> None:
        """Removes the bars from the screen; notes stay."""
        self._tasks.clear()
        self._progress.stop()


class _Pace(ProgressColumn):
    """Files a second or a minute, bytes so far, time left."""

    max_refresh = 0.5

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True, justify="right"))

    def render(self, task: Task) -> Text:
        """The text for one subset."""
        parts = []
        speed = task.speed or 0.0
        if speed:
            parts.append(f"{speed:.0f}/s" if speed >= 10 else f"{speed * 60:.0f}/min")
        if task.fields["bytes"]:
            parts.append(human(task.fields["bytes"]))
        if task.time_remaining:
            parts.append(f"{lasting(task.time_remaining)} left")
        return Text(" ".join(parts))
