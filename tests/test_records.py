"""The words: each reason has one state, and only what the source says is gone may prune."""

from __future__ import annotations

import pickle

import pytest

from saco_data.records import STATE_OF, Outcome, Reason, State


def test_every_reason_has_a_state() -> None:
    assert set(STATE_OF) == set(Reason)


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
