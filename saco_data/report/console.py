"""What a person sees: a table on stdout, progress on stderr (bars on a terminal, else lines)."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from saco_data.config import Settings
from saco_data.plan import Decision, SubsetPlan
from saco_data.records import Outcome, State
from saco_data.report.status import Status

LINE_SECONDS = 10.0


class Lines:
    """Progress as a plain line now and then. `quiet`: only notes."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._wanted: dict[str, int] = {}
        self._states: dict[str, Counter[State]] = {}
        self._last = time.monotonic()

    def begin(self, steps: SubsetPlan) -> None:
        """See `Reporter`."""
        kept = steps.products(Decision.KEEP) + steps.products(Decision.REST)
        total = sum(len(step.asset.products) for step in steps.steps)
        self._wanted[steps.subset] = total - kept
        self._states[steps.subset] = Counter()
        if total == kept:
            self._say(f"{steps.subset}: nothing to do, {total} files are settled")
        else:
            self._say(f"{steps.subset}: {total - kept} of {total} files to make")

    def learned(self, subset: str, outcomes: Sequence[Outcome]) -> None:
        """See `Reporter`."""
        self._states[subset].update(each.state for each in outcomes if not each.is_asset)
        if time.monotonic() - self._last > LINE_SECONDS:
            self._last = time.monotonic()
            self._say(f"{subset}: {self._counts(subset)}")

    def note(self, subset: str, text: str) -> None:
        """See `Reporter`."""
        print(f"{subset}: {text}", file=sys.stderr, flush=True)

    def end(self, subset: str, code: int) -> None:
        """See `Reporter`."""
        if self._states.get(subset):
            self._say(f"{subset}: ended, {self._counts(subset)}")

    def _counts(self, subset: str) -> str:
        states = self._states[subset]
        parts = [f"{count} {state}" for state, count in sorted(states.items())]
        return f"{', '.join(parts)} of {self._wanted[subset]}"

    def _say(self, text: str) -> None:
        if not self._quiet:
            print(text, file=sys.stderr, flush=True)


def stdout() -> Console:
    """The console for data. A pipe has no width of its own: tables get what they need."""
    return Console(width=None if sys.stdout.isatty() else 200, soft_wrap=False)


def print_status(status: Status) -> None:
    """The table of subsets on stdout."""
    table = Table(box=None, pad_edge=False)
    table.add_column("subset")
    for name in ("files", "done", "pending", "failed", "blocked", "gone", "image-NPs", "masks"):
        table.add_column(name, justify="right")
    table.add_column("reasons")
    for each in status.subsets:
        reasons = ", ".join(f"{name} {count}" for name, count in sorted(each.reasons.items()))
        table.add_row(
            each.subset,
            str(each.total),
            *(str(each.states[s]) for s in (State.DONE, State.PENDING)),
            *(str(each.states[s]) for s in (State.FAILED, State.BLOCKED, State.GONE)),
            f"{each.image_nps[1]}/{each.image_nps[0]}",
            f"{each.masks[1]}/{each.masks[0]}",
            reasons or ("complete" if each.complete else ""),
        )
    stdout().print(table)


def print_evaluator(settings: Settings) -> None:
    """The two lines for the evaluator's config."""
    images: Path = settings.silver / "images"
    print(f"silver_img_path: {images}")
    print(f"base_annotation_path_silver: {settings.silver / 'annotations'}")
