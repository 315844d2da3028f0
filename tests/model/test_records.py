"""Reasons and records: each reason has one state, and only "gone" may prune."""

from __future__ import annotations

import pickle

import pytest

from saco_data.model.reasons import Effect, Reason, State
from saco_data.model.records import Outcome


def test_every_reason_has_a_state_and_its_own_sentence() -> None:
    assert all(reason.state in State for reason in Reason)
    assert len({reason.sentence for reason in Reason}) == len(Reason)


def test_only_a_source_that_needs_rest_closes_by_itself() -> None:
    resting = {reason for reason in Reason if reason.has(Effect.REST)}
    assert resting == {Reason.THROTTLED, Reason.BOT_CHECK}
    assert all(reason.has(Effect.CLOSE_SOURCE) for reason in resting)
    assert all(
        reason.state is State.BLOCKED for reason in Reason if reason.has(Effect.CLOSE_SOURCE)
    )


def test_nothing_transient_is_gone() -> None:
    gone = {reason for reason in Reason if reason.state is State.GONE}
    assert gone == {
        Reason.HTTP_404,
        Reason.HTTP_410,
        Reason.NOT_IN_ARCHIVE,
        Reason.NOT_IN_CATALOGUE,
        Reason.OBJECT_MISSING,
        Reason.VIDEO_UNAVAILABLE,
        Reason.VIDEO_PRIVATE,
        Reason.VIDEO_MEMBERS_ONLY,
        Reason.ACCOUNT_TERMINATED,
    }


@pytest.mark.parametrize("reason", list(Reason))
def test_outcomes_cross_process_borders(reason: Reason) -> None:
    outcome = Outcome("sav", "a.jpg", reason, "words", facts={"pts": 3})
    assert pickle.loads(pickle.dumps(outcome)) == outcome
    assert outcome.state is reason.state
