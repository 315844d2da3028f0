"""The first lines of a page: what the copy has in one sentence, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from saco_data.engine.status import SubsetStatus
from saco_data.model.reasons import Effect, Reason, State
from saco_data.model.words import number

# How the headline names the states of files that are not ready, in this order.
_WORDS = {
    State.GONE: "gone",
    State.FAILED: "failed",
    State.BLOCKED: "blocked",
    State.PENDING: "not tried yet",
}


@dataclass(frozen=True)
class Step:
    """One thing to do: why, and the command for it ("" where there is none)."""

    text: str
    command: str = ""


def write_headline(states: Mapping[str, int]) -> str:
    """One sentence with a number for every state that has files; the numbers add up to all files.

    `states`: number of files by the value of their state.
    """
    total = sum(states.get(state.value, 0) for state in State)
    if not total:
        return "Nothing has been prepared yet"
    done = states.get(State.DONE.value, 0)
    if done == total:
        return f"All {number(total)} files are ready" if total > 1 else "The only file is ready"
    lacking = [
        f"{number(count)} {word}"
        for state, word in _WORDS.items()
        if (count := states.get(state.value, 0)) > 0
    ]
    verb = "is" if done == 1 else "are"
    return f"{number(done)} of {number(total)} files {verb} ready, {', '.join(lacking)}"


def list_steps(subsets: Sequence[SubsetStatus]) -> list[Step]:
    """What to do next, the most urgent first; never empty for one subset or more."""
    if not any(each.total or each.waits for each in subsets):
        return [
            Step("See how much will be fetched, and what each source asks for:", "saco plan"),
            Step("Then prepare:", "saco prepare"),
        ]
    steps = [*_list_blocked(subsets)]
    steps += [Step(f"{each.subset} waits: {each.waits}") for each in subsets if each.waits]
    again = [each.subset for each in subsets if _needs_run(each)]
    if again:
        text = "Try failed and untried files, and bring the annotations up to date:"
        steps.append(Step(text, f"saco prepare {' '.join(again)}"))
    if unconfirmed := sum(each.unconfirmed for each in subsets):
        text = "wait for a second look before the annotations go without them; run again later:"
        names = " ".join(each.subset for each in subsets if each.unconfirmed)
        steps.append(Step(f"{_files(unconfirmed)} gone {text}", f"saco prepare {names}"))
    usable = [each for each in subsets if each.usable[0]]
    if usable:
        is_complete = all(each.complete for each in usable)
        text = "Evaluate a model" if is_complete else "Evaluate a model on what is here"
        steps.append(Step(f"{text}:", "saco eval PREDICTIONS.json"))
    if new := [each.subset for each in subsets if not each.total and not each.waits]:
        steps.append(Step("Not looked at yet; see what they take:", f"saco plan {' '.join(new)}"))
    return steps


def _needs_run(each: SubsetStatus) -> bool:
    """Whether another run can change something without an action of the user."""
    if not each.total or each.waits:
        return False
    if each.states[State.FAILED] or each.states[State.PENDING]:
        return True
    return not (each.complete or each.states[State.BLOCKED] or each.unconfirmed)


def _list_blocked(subsets: Sequence[SubsetStatus]) -> list[Step]:
    """A step for each reason that blocks files."""
    where: dict[Reason, list[str]] = {}
    counts: Counter[Reason] = Counter()
    for each in subsets:
        for reason, count in each.reasons.items():
            if reason.state is State.BLOCKED and count:
                where.setdefault(reason, []).append(each.subset)
                counts[reason] += count
    steps = []
    for reason, count in counts.most_common():
        names = " ".join(where[reason])
        head = f"{_files(count)} blocked in {names}, because {reason.sentence}."
        if reason.has(Effect.REST):
            steps.append(Step(f"{head} Wait some hours, then:", f"saco prepare {names}"))
        else:
            steps.append(Step(f"{head} See what to do:", f"saco doctor {names}"))
    return steps


def _files(count: int) -> str:
    return f"{number(count)} {'file is' if count == 1 else 'files are'}"
