"""One subset, read in one transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from saco_data.model.items import SubsetFacts
from saco_data.model.reasons import Reason
from saco_data.model.records import Outcome
from saco_data.state.ledger import Ledger
from tests.helpers.tiny_subset import START

OUTCOMES = [
    Outcome("nga", "done.jpg", Reason.OK, bytes=7, sha256="ab" * 32),
    Outcome("nga", "gone.jpg", Reason.HTTP_404, "HTTP 404"),
    Outcome("nga", "late.jpg", Reason.NETWORK),
    Outcome("nga", "raw.zip", Reason.OK, bytes=9, is_asset=True),
    Outcome("nga", "lost.zip", Reason.HTTP_404, is_asset=True),
    Outcome("sa1b", "other.jpg", Reason.OK, bytes=100),
]


def test_a_snapshot_agrees_with_the_single_queries(tmp_path: Path) -> None:
    facts = SubsetFacts(files=3)
    with Ledger(tmp_path) as ledger:
        ledger.record(OUTCOMES, START)
        ledger.set_facts("nga", facts)
    with Ledger(tmp_path, read_only=True) as ledger:
        seen = ledger.snapshot("nga", products=True, assets=True)
        assert (seen.subset, seen.facts, seen.done_bytes) == ("nga", facts, 7)
        assert seen.counts == {Reason.OK: 1, Reason.HTTP_404: 1, Reason.NETWORK: 1}
        assert seen.asset_counts == {Reason.OK: 1, Reason.HTTP_404: 1}
        assert seen.gone.keys() == {"gone.jpg"} and seen.gone["gone.jpg"].detail == "HTTP 404"
        assert seen.products == ledger.known("nga")
        assert seen.assets == ledger.items("nga", is_asset=True)


def test_lists_are_read_only_when_asked_for(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record(OUTCOMES, START)
        seen = ledger.snapshot("nga")
        assert (seen.products, seen.assets) == (None, None)


def test_an_unknown_subset_has_an_empty_snapshot(tmp_path: Path) -> None:
    with Ledger(tmp_path, read_only=True) as ledger:
        seen = ledger.snapshot("nga", products=True, assets=True)
        assert (seen.facts, seen.done_bytes) == (SubsetFacts(), 0)
        for part in (seen.counts, seen.asset_counts, seen.gone, seen.products, seen.assets):
            assert part == {}


def test_nothing_is_committed_by_others_while_a_snapshot_is_read(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record(OUTCOMES, START)
    other = sqlite3.connect(tmp_path / "ledger.sqlite", timeout=0, isolation_level=None)
    with Ledger(tmp_path, read_only=True) as ledger:
        with ledger.reading():
            assert ledger.counts("nga")[Reason.OK] == 1
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute("DELETE FROM items")
        other.execute("DELETE FROM items")
        assert ledger.snapshot("nga").counts == {}
    other.close()


def test_a_snapshot_sees_what_its_own_run_has_not_committed_yet(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record(OUTCOMES, START)
        assert ledger.snapshot("nga").counts[Reason.OK] == 1
        other = sqlite3.connect(tmp_path / "ledger.sqlite")
        assert other.execute("SELECT count(*) FROM items").fetchone() == (0,)
        ledger.commit()
        assert other.execute("SELECT count(*) FROM items").fetchone() == (6,)
        other.close()
