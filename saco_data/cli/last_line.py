"""The last line of a run: result, counts, changes and main problem, for a cron mail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from saco_data.engine.events import Result
from saco_data.engine.status import Status
from saco_data.model.outside import without_secrets
from saco_data.model.reasons import State
from saco_data.report.console import readable
from saco_data.report.reasons import ReasonCount

LONGEST = 200
_SHORTEST_PROBLEM = 100  # characters; where there is less room, the changes are left out
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
_ALL = ". All: `saco status --reasons`"


def last_line(
    command: str,
    code: int,
    status: Status,
    results: Mapping[str, Result],
    reasons: Sequence[ReasonCount],
) -> str:
    """Result, counts by state, changes, and the first error or the main reason: one line.

    At most `LONGEST` characters: the problem was told in full before, and is cut here.
    """
    states = {
        state: sum(each.states[state] for each in status.subsets)
        for state in (State.DONE, State.PENDING, State.FAILED, State.BLOCKED, State.GONE)
    }
    counts = ", ".join(f"{count} {state}" for state, count in states.items() if count)
    total = sum(each.total for each in status.subsets)
    verdict = _VERDICTS.get(code, "failed")
    head = f"saco {command}: {verdict} (exit {code}). {total} files: {counts or 'nothing yet'}"
    changes = f". Since last time: {_add_up(results) or 'no change'}"
    problem, tail = _find_problem(code, results, reasons)
    room = LONGEST - len(head) - len(tail)
    if problem and room - len(changes) < min(len(problem), _SHORTEST_PROBLEM):
        changes = ""
    return _cut(head + changes + _cut(problem, room - len(changes)) + tail, LONGEST)


def _add_up(results: Mapping[str, Result]) -> str:
    """The changes of all subsets together; those of a single one with its name."""
    phrases = {name: result.changes.in_words() for name, result in results.items()}
    changed = {name: some for name, some in phrases.items() if some}
    if len(changed) == 1:
        return "; ".join(f"{name} {', '.join(some)}" for name, some in changed.items())
    sums: Counter[str] = Counter()
    for some in changed.values():
        for phrase in some:
            count, _, what = phrase.partition(" ")
            if count.isdigit():
                sums[what] += int(count)
            else:
                sums[f"with {phrase}"] += 1
    return ", ".join(f"{count} {what}" for what, count in sums.items())


def _find_problem(
    code: int, results: Mapping[str, Result], reasons: Sequence[ReasonCount]
) -> tuple[str, str]:
    """What went wrong, and where to read more; both "" where nothing did."""
    errors = [result.error for result in results.values() if result.error is not None]
    if errors:
        first = " ".join(readable("", str(errors[0])).split())
        return f". {len(errors)} stopped early, first: {first}", ""
    why = _find_main_reason(code, reasons)
    return (f". Most: {why}", _ALL) if why else ("", "")


def _find_main_reason(code: int, reasons: Sequence[ReasonCount]) -> str:
    """The reason of most files, with one file as an example; "" if there is none."""
    for state in _STATES.get(code, ()):
        counts = [count for count in reasons if count.reason.state is state and count.examples]
        if counts:
            most = max(counts, key=lambda count: count.count)
            item = most.examples[0]
            detail = f" ({' '.join(without_secrets(item.detail).split())})" if item.detail else ""
            return f"{most.subset} {most.count} {most.reason}, as {item.key}{detail}"
    return ""


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: max(0, length - 1)]}…"
