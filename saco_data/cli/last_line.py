"""The line that a run ends with: all that a cron mail needs to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from saco_data.engine.events import Result
from saco_data.engine.status import Status
from saco_data.model.reasons import State
from saco_data.report.reasons import ReasonCount

_VERDICTS = {
    0: "complete",
    3: "incomplete, run again",
    4: "blocked, needs you",
    5: "the disk is full",
}


# What an exit code is mostly about, by state.
_ABOUT = {3: (State.FAILED, State.GONE), 4: (State.BLOCKED, State.GONE)}


def last_line(
    command: str,
    code: int,
    status: Status,
    results: Mapping[str, Result],
    reasons: Sequence[ReasonCount],
) -> str:
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
    elif why := _main(code, reasons):
        parts.append(f"Most: {why}. All: `saco status --reasons`")
    return ". ".join(parts)


def _main(code: int, reasons: Sequence[ReasonCount]) -> str:
    """The reason that concerns most files, with one of them."""
    for state in _ABOUT.get(code, ()):
        about = [each for each in reasons if each.reason.state is state and each.examples]
        if about:
            most = max(about, key=lambda each: each.count)
            item = most.examples[0]
            said = f" ({' '.join(item.detail.split())[:200]})" if item.detail else ""
            return f"{most.subset} {most.count} {most.reason}, as {item.key}{said}"
    return ""
