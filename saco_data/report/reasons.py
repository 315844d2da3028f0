"""Why products are not done, for `saco status --reasons`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from saco_data.config.settings import Settings
from saco_data.engine import status
from saco_data.engine.subset import Subset, bind
from saco_data.model.items import Item
from saco_data.model.outside import one_line, without_secrets
from saco_data.model.reasons import Reason, State
from saco_data.model.snapshot import Snapshot
from saco_data.model.words import when
from saco_data.state.ledger import Ledger

EXAMPLES = 3


@dataclass(frozen=True)
class ReasonCount:
    """One reason in one subset: how many products have it, and a few of them.

    `why`: for pending products, which have no examples, why there is no outcome.
    """

    subset: str
    reason: Reason
    count: int
    examples: list[Item]
    why: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain data; times in seconds since the epoch."""
        return {
            "subset": self.subset,
            "state": self.reason.state,
            "reason": self.reason,
            "count": self.count,
            "why": without_secrets(self.why),
            "examples": [
                {
                    "file_name": each.key,
                    "detail": without_secrets(each.detail),
                    "origin": without_secrets(each.origin),
                    "since": each.since,
                    "last_seen": each.last_seen,
                    "attempts": each.attempts,
                }
                for each in self.examples
            ],
        }


def read(settings: Settings, subsets: Sequence[str]) -> list[ReasonCount]:
    """All reasons of these subsets, in each subset the most frequent first, then the pending files.

    A subset that was begun and is not complete has at least one entry.
    """
    found: list[ReasonCount] = []
    with Ledger(settings.state, read_only=True) as ledger:
        for subset in bind(settings, subsets):
            snapshot = ledger.snapshot(subset.id)
            state = status.describe(subset, snapshot)
            counts = sorted(state.reasons.items(), key=lambda each: -each[1])
            here = [
                ReasonCount(subset.id, reason, count, ledger.examples(subset.id, reason, EXAMPLES))
                for reason, count in counts
                if reason.state is not State.PENDING
            ]
            pending = state.states[State.PENDING]
            is_begun = state.total or state.waits
            if pending or (is_begun and not (here or state.complete)):
                why = _why_pending(subset, snapshot, state)
                here.append(ReasonCount(subset.id, Reason.NOT_TRIED, pending, [], why))
            found += here
    return found


def _why_pending(subset: Subset, snapshot: Snapshot, state: status.SubsetStatus) -> str:
    """Why files of a subset have no outcome yet, or why it is not complete."""
    prepare = f"run `saco prepare {subset.id}`"
    if state.waits:
        return state.waits
    if not state.states[State.PENDING]:
        return (
            f"the annotations changed since the last run, or what is derived from them: {prepare}"
        )
    if not subset.manifest.frames:
        return f"not fetched yet: {prepare}"
    if not snapshot.asset_counts.get(Reason.OK) and not subset.has_raw_files():
        return f"no video is fetched yet: {prepare}"
    return f"their videos are not fetched, or not processed yet: {prepare}"


def show(reasons: Sequence[ReasonCount], file: TextIO | None = None) -> None:
    """Prints the reasons on stdout, or into a file."""
    for each in reasons:
        # A message that all examples share is printed once.
        details = {without_secrets(item.detail) for item in each.examples} or {each.why}
        shared = details.pop() if len(details) == 1 else ""
        head = f"{each.subset}: {each.count} {each.reason.state}"
        if each.reason is not Reason.NOT_TRIED:
            head += f", {each.reason}"
        print(one_line(f"{head}: {shared}" if shared else head), file=file)
        for item in each.examples:
            said = "" if shared or not item.detail else f": {without_secrets(item.detail)}"
            line = f"{item.key} since {when(item.since)} UTC, attempts {item.attempts}{said}"
            print(f"  {one_line(line)}", file=file)
    if not reasons:
        print("Nothing failed, nothing is gone.", file=file)
