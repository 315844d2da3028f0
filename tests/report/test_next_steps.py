"""The first lines of a page: a headline that adds up, and steps that fit the state."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.engine.status import SubsetStatus
from saco_data.model.reasons import Reason, State
from saco_data.report.next_steps import list_steps, write_headline


def status(
    name: str = "nga", complete: bool = False, unconfirmed: int = 0, **counts: int
) -> SubsetStatus:
    """The status of a subset; `counts`: files by reason."""
    reasons: dict[Reason, int] = {Reason.of(reason): count for reason, count in counts.items()}
    states = dict.fromkeys(State, 0)
    for reason, count in reasons.items():
        states[reason.state] += count
    lost: dict[Reason, int] = {
        reason: count for reason, count in reasons.items() if reason is not Reason.OK
    }
    done = states[State.DONE]
    total = sum(counts.values())
    return SubsetStatus(
        name, total, states, lost, (total, done), (total, done), "", complete, (done, done), "",
        unconfirmed,
    )  # fmt: skip


@given(st.fixed_dictionaries({state.value: st.integers(0, 10**6) for state in State}))
def test_the_numbers_of_the_headline_add_up(states: dict[str, int]) -> None:
    said = write_headline(states)
    numbers = [int(each.replace(",", "")) for each in re.findall(r"[\d,]*\d", said)]
    total = sum(states.values())
    if total == 0:
        assert said == "Nothing has been prepared yet"
    elif states["done"] == total:
        assert numbers in ([total], [])
    else:
        done, of, *lacking = numbers
        assert of == total and done == states["done"] and done + sum(lacking) == total
        for state, word in (("blocked", "blocked"), ("pending", "not tried yet")):
            assert (f" {word}" in said) == (states[state] > 0)


@pytest.mark.parametrize(
    ("given_", "command"),
    [
        (status(credentials_missing=2, ok=1), "saco doctor nga"),
        (status(throttled=2, ok=1), "saco prepare nga"),
        (status(network=1, ok=1), "saco prepare nga"),
        (status(not_tried=1, ok=1), "saco prepare nga"),
        (status(ok=1, http_404=1, unconfirmed=1), "saco prepare nga"),
        (status(ok=1, http_404=1, complete=True), "saco eval PREDICTIONS.json"),
        (status(ok=1), "saco prepare nga"),
    ],
)
def test_the_first_step_fits_the_state(given_: SubsetStatus, command: str) -> None:
    assert list_steps([given_])[0].command == command


def test_a_blocked_copy_is_not_told_to_prepare_again() -> None:
    steps = list_steps([status(credentials_missing=1)])
    assert [each.command for each in steps] == ["saco doctor nga"]
    assert "1 file is blocked in nga, because credentials are missing" in steps[0].text


def test_a_new_copy_is_told_to_plan_first_and_a_finished_one_to_evaluate() -> None:
    assert [each.command for each in list_steps([status()])] == ["saco plan", "saco prepare"]
    steps = list_steps([status(ok=1, complete=True), status("sav")])
    assert [each.command for each in steps] == ["saco eval PREDICTIONS.json", "saco plan sav"]
