"""Tables on stdout, and progress on stderr as one plain line a subset every few seconds."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from saco_data.catalog.manifest import DEFAULT_COLLECTION
from saco_data.config.settings import Settings
from saco_data.dataset.pruned import find_partial
from saco_data.engine.status import Status, SubsetStatus
from saco_data.model.finding import Finding
from saco_data.model.outside import printable, without_secrets
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Outcome
from saco_data.model.words import human, lasting
from saco_data.planning.decisions import Decision, SubsetPlan

LINE_SECONDS = 10.0


@dataclass
class Tally:
    """The outcomes of a subset's files in a run.

    `wanted`: files that this run must make; `total`: all files of the subset.
    """

    wanted: int
    total: int
    bytes: int = 0
    reasons: Counter[Reason] = field(default_factory=Counter)
    begun: float = field(default_factory=time.monotonic)
    _last: dict[str, Reason] = field(default_factory=dict)

    def add(self, outcomes: Sequence[Outcome]) -> None:
        """Counts outcomes; of several for one file the last counts."""
        for each in outcomes:
            if each.is_asset:
                continue
            if each.key in self._last:
                self.reasons[self._last[each.key]] -= 1
            self._last[each.key] = each.reason
            self.reasons[each.reason] += 1
            self.bytes += each.bytes or 0

    @property
    def settled(self) -> int:
        """Files that have an outcome."""
        return len(self._last)

    def trouble(self) -> str:
        """The reasons why files are not done, with counts, the most frequent first."""
        counts = [(n, reason) for reason, n in self.reasons.items() if n]
        worst = sorted((each for each in counts if each[1] is not Reason.OK), reverse=True)
        return ", ".join(f"{reason} {n}" for n, reason in worst)

    def line(self) -> str:
        """Progress in one line: counts, rate, time left, bytes, reasons."""
        parts = [f"{self.settled} of {self.wanted}"]
        seconds = time.monotonic() - self.begun
        if 0 < self.settled < self.wanted and seconds > 1:
            left = (self.wanted - self.settled) * seconds / self.settled
            parts.append(f"{_rate(self.settled / seconds)}, {lasting(left)} left")
        if self.bytes:
            parts.append(human(self.bytes))
        if trouble := self.trouble():
            parts.append(trouble)
        return ", ".join(parts)

    def last_line(self) -> str:
        """The result of a run in one line."""
        states: Counter[State] = Counter()
        for reason, count in self.reasons.items():
            states[reason.state] += count
        counts = ", ".join(f"{states[state]} {state}" for state in State if states[state])
        trouble = self.trouble()
        took = f"in {lasting(time.monotonic() - self.begun)}"
        head = f"ended, {counts or 'nothing done'} of {self.wanted} {took}"
        return f"{head} ({trouble})" if trouble else head


def tally_of(steps: SubsetPlan) -> Tally:
    """The tally of a plan before anything was done."""
    total = steps.settled + sum(len(step.asset.products) for step in steps.steps)
    settled = steps.settled + steps.products(Decision.KEEP) + steps.products(Decision.REST)
    return Tally(total - settled, total)


def first_line(tally: Tally) -> str:
    """What a run will do, in one line."""
    if not tally.wanted:
        return f"nothing to do, {tally.total} files are settled"
    return f"{tally.wanted} of {tally.total} files to make"


class Lines:
    """A `Reporter` that prints plain lines, at most one a subset in `line_seconds`.

    `quiet`: only notes.
    """

    def __init__(self, *, quiet: bool = False, line_seconds: float = LINE_SECONDS) -> None:
        self._quiet = quiet
        self._line_seconds = line_seconds
        self._tallies: dict[str, Tally] = {}
        self._said: dict[str, float] = {}

    def begin(self, steps: SubsetPlan) -> None:
        """See `Reporter`."""
        self.end(steps.subset, 0)
        tally = self._tallies[steps.subset] = tally_of(steps)
        self._said[steps.subset] = time.monotonic()
        self._say(steps.subset, first_line(tally))

    def learned(self, subset: str, outcomes: Sequence[Outcome]) -> None:
        """See `Reporter`."""
        tally = self._tallies[subset]
        tally.add(outcomes)
        if time.monotonic() - self._said[subset] > self._line_seconds:
            self._said[subset] = time.monotonic()
            self._say(subset, tally.line())

    def note(self, subset: str, text: str) -> None:
        """See `Reporter`."""
        # One write for the whole line: other threads write too, and `print` makes two writes.
        sys.stderr.write(f"{readable(subset, text)}\n")
        sys.stderr.flush()

    def end(self, subset: str, code: int) -> None:
        """See `Reporter`."""
        tally = self._tallies.pop(subset, None)
        if tally and tally.settled:
            self._say(subset, tally.last_line())

    def close(self) -> None:
        """See `Reporter`; there is nothing to remove from the screen."""

    def _say(self, subset: str, text: str) -> None:
        if not self._quiet:
            self.note(subset, text)


def readable(subset: str, text: str) -> str:
    """A note as it is printed: subset first, paths relative, safe to print and to remember."""
    text = text.removeprefix(f"{subset}: ")
    with contextlib.suppress(FileNotFoundError):  # the working directory was deleted
        text = text.replace(f"{Path.cwd()}/", "")
    text = printable(without_secrets(text))
    return f"{subset}: {text}" if subset else text


def _rate(number: float) -> str:
    return f"{number:.0f}/s" if number >= 10 else f"{number * 60:.0f}/min"


def stdout() -> Console:
    """The console for data. Tables for a pipe are 200 columns wide."""
    return Console(width=None if sys.stdout.isatty() else 200, soft_wrap=False)


def print_hanging(console: Console, name: str, text: str) -> None:
    """Prints a line with a name; a terminal gets it wrapped and indented below the name."""
    head, text = f"  {name:<12}" if name else 5 * " ", readable("", text)
    if not console.is_terminal:
        print(f"{head}{text}")
        return
    print(head, end="")
    _print_wrapped(console, text, indent=len(head))


def _print_wrapped(console: Console, text: str, indent: int) -> None:
    """Prints text behind what stands in the line already, `indent` wide; wrapped on a terminal."""
    if not console.is_terminal:
        print(text)
        return
    import textwrap

    width = max(40, min(console.width, 110)) - indent
    lines = textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)
    print(f"\n{' ' * indent}".join(lines or [""]))


def print_finding(finding: Finding) -> None:
    """Prints a finding of the doctor on stdout, and below it what to do."""
    console = stdout()
    colour = {"ok": "green", "warn": "yellow", "fail": "red"}[finding.verdict]
    console.print(f"[{colour}]{finding.verdict:<5}[/]", end="", highlight=False)
    _print_wrapped(console, readable("", f"{finding.name}: {finding.what}"), indent=5)
    if finding.remedy:
        print_hanging(console, "", finding.remedy)


def print_status(status: Status) -> None:
    """Prints the table of subsets on stdout, and what each node of a cluster does.

    Image-NPs and masks: those with a picture, of all. Where a terminal is too narrow for a line,
    image-NPs, masks and reasons stand below the table.
    """
    console = stdout()
    _print_subsets(console, status)
    for line in status.cluster.describe() if status.cluster else ():
        console.print(readable("", line), markup=False, highlight=False, soft_wrap=True)


def _print_subsets(console: Console, status: Status) -> None:
    wide = _status_table(status, wide=True)
    if not console.is_terminal or _natural_width(console, wide) <= console.width:
        console.print(wide)
        return
    console.print(_status_table(status, wide=False))
    for each in status.subsets:
        counts = f"{_usable(each, 0)} image-NPs, {_usable(each, 1)} masks"
        why = _why(each)
        print_hanging(console, each.subset, f"{counts}; {why}" if why else counts)


def print_waits(status: Status) -> None:
    """Prints on stdout why the last run of a subset stopped early, for each one that is waiting."""
    for each in status.subsets:
        if each.waits:
            print_hanging(stdout(), each.subset, f"stopped early: {each.waits}")


def _natural_width(console: Console, table: Table) -> int:
    """The columns that a table needs so that nothing is cut or wrapped."""
    return console.measure(table, options=console.options.update(max_width=10_000)).maximum


def _status_table(status: Status, *, wide: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("subset", no_wrap=True)
    states = (State.DONE, State.PENDING, State.FAILED, State.BLOCKED, State.GONE)
    for name in ("files", *(str(state) for state in states)):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("image-NPs", justify="right", no_wrap=True)
        table.add_column("masks", justify="right", no_wrap=True)
        table.add_column("reasons")
    for each in status.subsets:
        cells = [each.subset, str(each.total), *(str(each.states[state]) for state in states)]
        more = [_usable(each, 0), _usable(each, 1), _why(each)] if wide else []
        table.add_row(*cells, *more)
    return table


def _usable(each: SubsetStatus, at: int) -> str:
    return f"{each.usable[at]}/{(each.image_nps, each.masks)[at][0]}"


def _why(each: SubsetStatus) -> str:
    reasons = ", ".join(f"{name} {count}" for name, count in sorted(each.reasons.items()))
    return reasons or ("complete" if each.complete else "")


def print_evaluator(settings: Settings, status: Status) -> None:
    """Prints `list_evaluator_lines`."""
    for line in list_evaluator_lines(settings, status):
        print(line)


def list_evaluator_lines(settings: Settings, status: Status) -> list[str]:
    """The two lines for the evaluator's config; for other collections, where their files are.

    They name the folder that an evaluator can read now; none where no picture is here.
    """
    lines = []
    usable = [settings.subset(each.subset) for each in status.subsets if each.usable[0]]
    for collection, root in {each.manifest.collection: each.root for each in usable}.items():
        if collection == DEFAULT_COLLECTION:
            members = [each for each in usable if each.manifest.collection == collection]
            partial = [path for each in members if (path := find_partial(each.derived))]
            folder = partial[0].parent if partial else root / "annotations"
            lines.append(f"silver_img_path: {root / 'images'}")
            lines.append(f"base_annotation_path_silver: {folder}")
        else:
            lines.append(f"{collection}: {root}")
    return lines
