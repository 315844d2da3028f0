"""The content of the ledger: items, their past, their counts."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.model.reasons import Reason, State
from saco_data.model.records import Outcome
from saco_data.state import schema
from saco_data.state.damage import describe_access_error
from saco_data.state.interning import Texts
from saco_data.state.ledger import Ledger
from tests.helpers.tiny_subset import DAY, HOUR, START, SUBSET
from tests.state.outcomes import FOUND, GONE, KEY


def test_an_item_keeps_its_facts_and_its_past(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record([FOUND], START)
        ledger.record([GONE], START + 1)
    with Ledger(tmp_path, read_only=True) as ledger:
        item = ledger.items("nga")[KEY]
        assert (item.first_seen, item.since, item.last_seen) == (START, START + 1, START + 1)
        assert (item.attempts, item.state, item.detail) == (2, State.GONE, GONE.detail)
        assert (item.origin, item.bytes, item.sha256) == (FOUND.origin, 1234, "ab" * 32)
        assert item.facts == {**FOUND.facts, **GONE.facts}
        assert [(each.reason, each.since, each.until) for each in ledger.past(item)] == [
            (Reason.OK, START, START + 1)
        ]
        assert ledger.find(KEY) == [item] and ledger.search("1b2c") == [("nga", KEY)]


def test_the_same_reason_again_changes_only_last_seen(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        for day in range(3):
            ledger.record([GONE], START + day * DAY)
        item = ledger.items("nga")[KEY]
        assert (item.since, item.last_seen, item.attempts) == (START, START + 2 * DAY, 3)
        assert ledger.past(item) == []


@pytest.mark.parametrize("reason", [each for each in Reason if each.state is not State.DONE])
def test_only_a_reason_that_proves_existence_ends_gone(tmp_path: Path, reason: Reason) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record([GONE], START)
        (change,) = ledger.record([Outcome("nga", KEY, reason)], START + 1)
        item = ledger.items("nga")[KEY]
    exists = (Reason.SHORT_BODY, Reason.CORRUPT_IMAGE, Reason.WORKER_CRASHED, Reason.WRONG_SIZE)
    silent = (Reason.NETWORK, Reason.THROTTLED, Reason.UNAUTHORIZED, Reason.NOT_MEDIA)
    assert change.after is item.reason
    assert item.attempts == 2
    if reason in exists:
        assert item.reason is reason
    if reason in silent:
        assert (item.reason, item.last_seen) == (GONE.reason, START)


def test_gone_is_confirmed_by_two_reports_far_enough_apart(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:

        def confirmed() -> list[bool]:
            item = ledger.items("nga")[KEY]
            return [item.is_confirmed(hours) for hours in (0, 24, 48)]

        ledger.record([GONE], START)
        assert confirmed() == [True, False, False]
        ledger.witness("nga", [KEY], START)
        ledger.witness("nga", [KEY], START + 24 * HOUR)
        assert confirmed() == [True, True, False]
        ledger.confirm_gone("nga")
        assert confirmed() == [True, True, True]
        # Back and gone again: the two reports must be made anew.
        ledger.record([FOUND], START + 2 * DAY)
        ledger.witness("nga", [KEY], START + 2 * DAY)
        ledger.record([GONE], START + 3 * DAY)
        assert confirmed() == [True, False, False]
        assert ledger.items("nga")[KEY].gone_first is None


def test_counts_follow_every_change(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record([FOUND, Outcome("nga", "b", Reason.NETWORK)], START)
        ledger.record([Outcome("nga", "v", Reason.OK, bytes=7, is_asset=True)], START)
        assert ledger.counts("nga") == {Reason.OK: 1, Reason.NETWORK: 1}
        assert ledger.done_bytes("nga") == (1, 1234)
        ledger.record([Outcome("nga", "b", Reason.OK, bytes=6)], START)
        assert ledger.done_bytes("nga") == (2, 1240)
        ledger.record([Outcome("nga", KEY, Reason.OK, bytes=4)], START)
        assert ledger.done_bytes("nga") == (2, 10)
        ledger.archive_rows("nga", [KEY])
        assert ledger.counts("nga") == {Reason.OK: 1}
        assert not ledger.find(KEY) and not ledger.search(KEY)
        assert ledger.restore_rows("nga", {"other"}) == []
        assert ledger.restore_rows("nga", {KEY, "other"}) == [KEY]
        assert ledger.items("nga")[KEY].bytes == 4
        assert ledger.counts("nga") == {Reason.OK: 2}
        assert ledger.counts("nga", is_asset=True) == {Reason.OK: 1}


@given(
    key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30),
    origin=st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    facts=st.dictionaries(
        st.sampled_from(["etag", "licence", "place", "pts", "av"]),
        st.none() | st.integers(-(2**40), 2**40) | st.text(max_size=9),
    ),
)
def test_shared_texts_are_joined_to_the_original(
    key: str, origin: str, facts: dict[str, object]
) -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(db)
    for text in (origin, f"https://x.org/a/{key}/{origin}", f"{origin}#{key}"):
        head, rest, shared, own = Texts(db).split(key, text, facts)
        again = Texts(db)
        assert again.join_origin(key, head, rest) == text
        assert again.join_facts(shared, own) == facts


def test_the_same_key_in_two_subsets_is_two_items(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record([FOUND, Outcome(SUBSET, KEY, Reason.NETWORK)])
        assert [item.subset for item in ledger.find(KEY)] == [SUBSET, "nga"]


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR, sqlite3.SQLITE_IOERR_TRUNCATE])
def test_a_disk_that_fails_under_the_ledger_is_no_fault_of_the_config(
    tmp_path: Path, code: int
) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    told = describe_access_error(error, tmp_path / "ledger.sqlite")
    assert told.exit_code == 3 and "Run again" in str(told)


def test_a_ledger_that_cannot_be_opened_is_a_fault_of_the_config_only_if_it_is_forbidden(
    tmp_path: Path,
) -> None:
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    assert describe_access_error(error, tmp_path / "ledger.sqlite").exit_code == 3
    (tmp_path / "ledger.sqlite").mkdir()
    assert describe_access_error(error, tmp_path / "ledger.sqlite").exit_code == 2
