"""Progress on a terminal: a bar for each subset that runs, a line for each that ended."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
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
from rich.segment import Segment
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
_RATE_SECONDS = 30.0  # over which bytes a second are averaged
_TOGETHER = "together"


class Bars:
    """A `Reporter` for terminals.

    A subset has a bar while it runs, and one line once it has ended; several have a total below.
    `console` is that of stderr.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stderr)
        self._progress = Progress(
            TextColumn("{task.description}"),
            _Bar(bar_width=None, table_column=Column(min_width=6, max_width=30, ratio=1)),
            _Count(),
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
        self._waiting: TaskID | None = None
        self._total: TaskID | None = None
        # Of the whole run: files that have an outcome, files that are wanted, bytes.
        self._ended = [0, 0, 0]
        self._received: deque[tuple[float, int]] = deque()

    def wait(self, text: str) -> None:
        """Shows what happens until the first subset begins, so that the screen is never dead."""
        self._progress.start()
        self._waiting = self._progress.add_task(escape(text), total=None, trouble="", bytes=0)

    def begin(self, steps: SubsetPlan) -> None:
        """See `Reporter`."""
        self.end(steps.subset, 0)
        tally = tally_of(steps)
        if not tally.wanted:
            self.note(steps.subset, first_line(tally))
            return
        self._tallies[steps.subset] = tally
        self._end_waiting()
        self._progress.start()
        self._tasks[steps.subset] = self._progress.add_task(
            steps.subset, total=tally.wanted, trouble="", bytes=0
        )
        self._show_total(anew=True)

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
        self._show_total()

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
        for at, count in enumerate((tally.settled, tally.wanted, tally.bytes)):
            self._ended[at] += count
        self._show_total()
        self._progress.refresh()
        self.note(subset, tally.last_line())
        if not self._tasks:
            self.close()

    def close(self) -> None:
        """Removes the bars from the screen; notes stay."""
        self._end_waiting()
        self._tasks.clear()
        if self._total is not None:
            self._progress.remove_task(self._total)
            self._total = None
        self._progress.stop()

    def _end_waiting(self) -> None:
        if self._waiting is not None:
            self._progress.remove_task(self._waiting)
            self._waiting = None

    def _show_total(self, *, anew: bool = False) -> None:
        """The line below the bars; `anew` moves it below a bar that was just added."""
        counts = [(each.settled, each.wanted, each.bytes) for each in self._tallies.values()]
        settled, wanted, received = map(sum, zip(*counts, self._ended, strict=True))
        rate = self._measure_rate(received)
        if anew and self._total is not None:
            self._progress.remove_task(self._total)
            self._total = None
        if self._total is None and len(self._tasks) > 1:
            self._total = self._progress.add_task(_TOGETHER, total=wanted, trouble="", bytes=0)
        if self._total is not None:
            self._progress.update(
                self._total, total=wanted, completed=settled, bytes=received, rate=rate
            )

    def _measure_rate(self, received: int) -> float:
        """Bytes a second over the last `_RATE_SECONDS`."""
        now, seen = time.monotonic(), self._received
        if not seen or now - seen[-1][0] >= 0.5:
            seen.append((now, received))
        while now - seen[0][0] > _RATE_SECONDS and len(seen) > 2:
            seen.popleft()
        seconds = now - seen[0][0]
        return (received - seen[0][1]) / seconds if seconds >= 1 else 0.0


class _Bar(BarColumn):
    """A bar whose two parts differ without colour too."""

    def render(self, task: Task) -> RenderableType:  # type: ignore[override]
        """See `BarColumn`."""
        share = None if task.total is None else task.completed / max(1, task.total)
        return _PlainBar(share, super().render(task))


class _PlainBar:
    """`coloured` where there are colours, else `####----`; `share` is None while it is unknown."""

    def __init__(self, share: float | None, coloured: RenderableType) -> None:
        self.share, self.coloured = share, coloured

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not (console.no_color or console.color_system is None):
            yield self.coloured
            return
        width = options.max_width
        done = round(width * min(1.0, self.share or 0.0))
        yield Segment("#" * done + "-" * (width - done))


class _Count(MofNCompleteColumn):
    """Files with an outcome, of those that are wanted."""

    def render(self, task: Task) -> Text:
        """See `MofNCompleteColumn`."""
        return Text("") if task.total is None else super().render(task)


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
        if task.fields.get("rate"):
            parts.append(f"{human(task.fields['rate'])}/s")
        if task.time_remaining:
            parts.append(f"{lasting(task.time_remaining)} left")
        return Text(" ".join(parts))
