"""The last line of a run: result, counts, changes and main problem, for a cron mail."""

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
    130: "stopped by Ctrl-C",
    143: "stopped by SIGTERM",
}
# The states that explain an exit code, the most important first.
_STATES = {3: (State.FAILED, State.GONE), 4: (State.BLOCKED, State.GONE)}


def last_line(
    command: str,
    code: int,
    status: Status,
    results: Mapping[str, Result],
    reasons: Sequence[ReasonCount],
) -> str:
    """Result, counts by state, changes, and the first error or the main reason, in one line."""
    verdict = _VERDICTS.get(code, "failed")
    parts = [f"saco {command}: {verdict} (exit {code})"]
    states = {
        state: sum(each.states[state] for each in status.subsets)
        for state in (State.DONE, State.PENDING, State.FAILED, State.BLOCKED, State.GONE)
    }
    counts = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    total = sum(each.total for each in status.subsets)
    parts.append(f"{total} files: {counts or 'nothing yet'}")
    phrases = {name: result.changes.in_words() for name, result in results.items()}
    changes = "; ".join(f"{name} {', '.join(some)}" for name, some in phrases.items() if some)
    parts.append(f"Since last time: {changes or 'no change'}")
    errors = [result.error for result in results.values() if result.error is not None]
    if errors:
        first = " ".join(str(errors[0]).split())
        parts.append(f"{len(errors)} stopped early, first: {first[:300]}")
    elif why := _find_main_reason(code, reasons):
        parts.append(f"Most: {why}. All: `saco status --reasons`")
    return ". ".join(parts)


def _find_main_reason(code: int, reasons: Sequence[ReasonCount]) -> str:
    """The reason of most files, with one file as an example; "" if there is none."""
    for state in _STATES.get(code, ()):
        counts = [count for count in reasons if count.reason.state is state and count.examples]
        if counts:
            most = max(counts, key=lambda count: count.count)
            item = most.examples[0]
            detail = f" ({' '.join(item.detail.split())[:200]})" if item.detail else ""
            return f"{most.subset} {most.count} {most.reason}, as {item.key}{detail}"
    return ""
