"""Why products are not done, for `saco status --reasons`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from saco_data.config.settings import Settings
from saco_data.model.items import Item
from saco_data.model.outside import one_line, without_secrets
from saco_data.model.reasons import Reason, State
from saco_data.model.words import when
from saco_data.state.ledger import Ledger

EXAMPLES = 3


@dataclass(frozen=True)
class ReasonCount:
    """One reason in one subset: how many products have it, and a few of them."""

    subset: str
    reason: Reason
    count: int
    examples: list[Item]

    def as_json(self) -> dict[str, Any]:
        """Plain data; times in seconds since the epoch."""
        return {
            "subset": self.subset,
            "state": self.reason.state,
            "reason": self.reason,
            "count": self.count,
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
    """All reasons of these subsets, in each subset the most frequent first."""
    with Ledger(settings.state, read_only=True) as ledger:
        return [
            ReasonCount(subset, reason, count, ledger.examples(subset, reason, EXAMPLES))
            for subset in subsets
            for reason, count in sorted(ledger.counts(subset).items(), key=lambda each: -each[1])
            if reason.state is not State.DONE
        ]


def show(reasons: Sequence[ReasonCount], file: TextIO | None = None) -> None:
    """Prints the reasons on stdout, or into a file."""
    for each in reasons:
        print(f"{each.subset}: {each.count} {each.reason.state}, {each.reason}", file=file)
        for item in each.examples:
            said = f": {without_secrets(item.detail)}" if item.detail else ""
            line = f"{item.key} since {when(item.since)} UTC, attempts {item.attempts}{said}"
            print(f"  {one_line(line)}", file=file)
    if not reasons:
        print("Nothing failed, nothing is gone.", file=file)
