"""The line that a run ends with: all that a cron mail needs to say."""

from __future__ import annotations

from collections.abc import Mapping

from saco_data.pipeline import Result
from saco_data.records import State
from saco_data.report.status import Status

_VERDICTS = {
    0: "complete",
    3: "incomplete, run again",
    4: "blocked, needs you",
    5: "the disk is full",
}


def last_line(command: str, code: int, status: Status, results: Mapping[str, Result]) -> str:
    """What it came to, what changed, and what is wanted, in one line."""
    verdict = _VERDICTS.get(code, "failed")
    parts = [f"saco {command}: {verdict} (exit {code})"]
    states = {
        state: sum(each.states[state] for each in status.subsets)
        for state in (State.DONE, State.PENDING, State.FAILED, State.BLOCKED, State.GONE)
    }
    counts = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    total = sum(each.total for each in status.subsets)
    parts.append(f"{total} files: {counts or 'nothing yet'}")
    words = {name: each.changes.in_words() for name, each in results.items()}
    changes = "; ".join(f"{name} {', '.join(said)}" for name, said in words.items() if said)
    parts.append(f"Since last time: {changes or 'no change'}")
    errors = [each.error for each in results.values() if each.error is not None]
    if errors:
        first = " ".join(str(errors[0]).split())
        parts.append(f"{len(errors)} stopped early, first: {first[:300]}")
    return ". ".join(parts)
