"""Ledgers of older and newer versions."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from saco_data.model.errors import OutputError
from saco_data.model.reasons import Reason
from saco_data.state import schema
from saco_data.state.interning import Texts
from saco_data.state.ledger import Ledger
from tests.helpers.tiny_subset import START
from tests.state.outcomes import FOUND, KEY


def old_file(folder: Path) -> Path:
    """A ledger as version 1 wrote it."""
    path = folder / "ledger.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(f"{schema.MIGRATIONS[0][0]}; PRAGMA user_version = 1;")
    rows = [
        ("nga", KEY, 0, "done", "ok", "", FOUND.origin, 9, b"\1" * 32, '{"etag":"x"}', 1, 3, 2, 4),
        ("nga", "b", 0, "gone", "http_404", "no", "o", None, None, None, 1, 9, 5, 2),
    ]
    db.executemany(f"INSERT INTO items VALUES ({','.join('?' * 14)})", rows)
    facts = {"stamp": ["x", 1, 2], "sha256": "s", "files": 2, "waits": []}
    db.execute("INSERT INTO subsets VALUES ('nga', ?)", (json.dumps(facts),))
    db.execute("INSERT INTO runs VALUES (1, 'prepare', 1, 2, 0, '{}')")
    db.close()
    return path


def test_an_old_ledger_is_migrated_by_a_writer_and_read_by_a_reader(tmp_path: Path) -> None:
    path = old_file(tmp_path)
    before = path.read_bytes()
    for read_only in (True, False):
        with Ledger(tmp_path, read_only=read_only) as ledger:
            items = ledger.items("nga")
            assert items[KEY].origin == FOUND.origin and items[KEY].facts == {"etag": "x"}
            assert (items[KEY].first_seen, items[KEY].last_seen, items[KEY].since) == (1, 3, 2)
            assert (items["b"].gone_first, items["b"].gone_last) == (5, 9)
            assert ledger.counts("nga") == {Reason.OK: 1, Reason.HTTP_404: 1}
            assert ledger.facts("nga").files == 2 and ledger.runs()[0]["command"] == "prepare"
        assert (path.read_bytes() == before) == read_only


def archive_of_version_2(folder: Path) -> Path:
    """A ledger as version 2 wrote it, with one product archived."""
    path = folder / "ledger.sqlite"
    db = sqlite3.connect(path, isolation_level=None)
    for number, (script, convert) in enumerate(schema.MIGRATIONS[:2], 1):
        db.executescript(f"{script}; PRAGMA user_version = {number};")
        if convert:
            convert(db)
    texts = Texts(db)
    for subset, key in (("nga", "b"), ("nga (set aside)", KEY)):
        columns = texts.split(key, FOUND.origin, FOUND.facts)
        plain = (subset, 0, key, "ok", 1234, b"\1" * 32, 1, 3, 2, 4, None, None, 0, "")
        db.execute(f"INSERT INTO items VALUES ({','.join('?' * 18)})", (*plain, *columns))
    db.execute(f"INSERT INTO past VALUES ('nga', 0, '{KEY}', 2, 'http_404', 1, 'no')")
    db.close()
    return path


def check_archive(ledger: Ledger) -> None:
    assert ledger.items("nga").keys() == {"b"}
    assert ledger.counts("nga") == {Reason.OK: 1}
    assert not ledger.find(KEY) and not ledger.search(KEY)
    assert ledger.items("nga (set aside)") == {}
    assert ledger.counts("nga (set aside)") == {}


@pytest.mark.parametrize("damaged", [False, True])
def test_archived_products_of_version_2_can_be_restored(tmp_path: Path, damaged: bool) -> None:
    path = archive_of_version_2(tmp_path)
    before = path.read_bytes()
    with Ledger(tmp_path, read_only=True) as ledger:
        check_archive(ledger)
    assert path.read_bytes() == before
    with Ledger(tmp_path, damaged=damaged) as ledger:
        check_archive(ledger)
        assert ledger.restore_rows("nga", {KEY}) == [KEY]
    with Ledger(tmp_path) as ledger:
        item = ledger.items("nga")[KEY]
        assert (item.origin, item.facts) == (FOUND.origin, FOUND.facts)
        assert (item.bytes, item.sha256, item.attempts) == (1234, "01" * 32, 4)
        assert [each.reason for each in ledger.past(item)] == [Reason.HTTP_404]
        assert ledger.done_bytes("nga") == (2, 2468)


def test_archived_products_survive_a_damaged_ledger(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record([FOUND], START)
        ledger.archive_rows("nga", [KEY])
    with Ledger(tmp_path, damaged=True) as ledger:
        assert ledger.restore_rows("nga", {KEY}) == [KEY]
        assert ledger.items("nga")[KEY].origin == FOUND.origin


def test_a_newer_ledger_is_refused_and_left_alone(tmp_path: Path) -> None:
    with Ledger(tmp_path):
        pass
    db = sqlite3.connect(tmp_path / "ledger.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    for read_only in (True, False):
        with pytest.raises(OutputError, match="schema 99"):
            Ledger(tmp_path, read_only=read_only)
    assert len(list(tmp_path.glob("ledger.sqlite*damaged*"))) == 0


def test_a_reader_writes_nothing(tmp_path: Path) -> None:
    with Ledger(tmp_path / "none", read_only=True) as ledger:
        assert ledger.items("nga") == {}
    assert not (tmp_path / "none").exists()
