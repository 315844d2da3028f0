"""A damaged or lost ledger is set aside; what is readable of it is kept, and no product is lost."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path

import pytest

from saco_data.model.errors import OutputError
from saco_data.model.items import SubsetFacts
from saco_data.model.reasons import Reason
from saco_data.model.records import Outcome
from saco_data.state.database import LedgerDamaged
from saco_data.state.ledger import Ledger
from tests.helpers.tiny_subset import DAY, NAMES, PICTURES, START, TinySubset
from tests.state.outcomes import FOUND, GONE, KEY


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "head":
        content[:16] = b"something else.."
    elif how == "cut":
        del content[-4096:]
    elif how == "pages":
        middle = len(content) // 2 // 4096 * 4096
        content[middle : middle + 4096] = bytes(4096)
    else:
        content[:] = content.replace(b"http_404", b"http_4\xff4")
    path.write_bytes(content)


def many(folder: Path) -> None:
    with Ledger(folder) as ledger:
        run = ledger.begin_run("prepare")
        ledger.record(
            Outcome("nga", f"{n:06d}.jpg", Reason.HTTP_404 if n % 9 else Reason.OK, "said " * 9)
            for n in range(3000)
        )
        ledger.end_run(run, 0, {})


@pytest.mark.parametrize("how", ["head", "cut", "pages"])
def test_a_damaged_ledger_is_quarantined_and_its_readable_rows_are_kept(
    tmp_path: Path, how: str
) -> None:
    many(tmp_path)
    damage(tmp_path / "ledger.sqlite", how)
    with pytest.raises(LedgerDamaged, match="rebuilds it"):
        Ledger(tmp_path, read_only=True).items("nga")
    with Ledger(tmp_path) as ledger:
        kept = ledger.items("nga")
        assert sum(ledger.counts("nga").values()) == len(kept)
        ledger.record([FOUND])
    assert all(item.detail == "said " * 9 for item in kept.values())
    assert len(list(tmp_path.glob("ledger.sqlite.damaged-*[0-9]"))) == 1
    assert how == "head" or len(kept) > 1000


def test_an_invalid_reason_is_damage(tmp_path: Path) -> None:
    many(tmp_path)
    damage(tmp_path / "ledger.sqlite", "words")
    with Ledger(tmp_path) as ledger:
        for ask in (ledger.items, ledger.counts, ledger.not_done):
            with pytest.raises(LedgerDamaged):
                ask("nga")
    with Ledger(tmp_path, damaged=True) as ledger:
        assert {item.reason for item in ledger.items("nga").values()} == {Reason.OK}


@pytest.mark.parametrize(
    "broken",
    [
        "UPDATE texts SET text = '{' || id WHERE text LIKE '{%'",
        "UPDATE items SET facts = '[1' WHERE facts IS NOT NULL",
        "UPDATE items SET reason = X'00FF'",
        "UPDATE subsets SET facts = 'none'",
        "UPDATE runs SET changes = '{'",
        "UPDATE past SET reason = 'never heard of'",
    ],
)
def test_an_invalid_value_anywhere_is_damage_and_is_repaired(tmp_path: Path, broken: str) -> None:
    with Ledger(tmp_path) as ledger:
        number = ledger.begin_run("prepare")
        ledger.record([FOUND, GONE], START)
        ledger.set_facts("nga", SubsetFacts(files=1))
        ledger.end_run(number, 0, {"a": 1})

    def everything(ledger: Ledger) -> None:
        for item in ledger.items("nga").values():
            ledger.past(item)
        ledger.record([GONE])
        ledger.facts("nga")
        ledger.runs()

    db = sqlite3.connect(tmp_path / "ledger.sqlite")
    assert db.execute(broken).rowcount > 0
    db.commit()
    db.close()
    with Ledger(tmp_path) as ledger, pytest.raises(LedgerDamaged, match="invalid value"):
        everything(ledger)
    with Ledger(tmp_path, damaged=True) as ledger:
        everything(ledger)


def use(folder: Path, *, read_only: bool = False, damaged: bool = False) -> None:
    """Calls everything that a run calls on its ledger."""
    with Ledger(folder, read_only=read_only, damaged=damaged) as ledger:
        for item in (*ledger.items("nga").values(), *ledger.known("nga").values()):
            ledger.past(item)
        ledger.facts("nga"), ledger.counts("nga"), ledger.done_bytes("nga"), ledger.runs()
        ledger.find(KEY), ledger.search("1b")
        if not read_only:
            run = ledger.begin_run("prepare")
            ledger.record([FOUND, GONE, Outcome("nga", "new", Reason.OK, bytes=1)])
            ledger.witness("nga", [KEY])
            ledger.confirm_gone("nga")
            ledger.set_facts("nga", SubsetFacts(files=1))
            ledger.archive_rows("nga", ["new"])
            ledger.restore_rows("nga", ["new"])
            ledger.end_run(run, 0, {"a": 1})


@pytest.mark.parametrize(
    "good, bad",
    [
        # SQLite quotes this in a message that Python then cannot decode.
        (b"CREATE INDEX past_of ON", b"CREATE INDEX past_of \xffN"),
        (b"last_seen INTEGER", b"last_sein INTEGER"),
        (b"SET number = number + 1", b"SET number = numbes + 1"),
    ],
)
def test_a_damaged_schema_is_repaired(tmp_path: Path, good: bytes, bad: bytes) -> None:
    use(tmp_path)
    path = tmp_path / "ledger.sqlite"
    assert good in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(good, bad))
    # A reader uses no trigger.
    with contextlib.suppress(LedgerDamaged):
        use(tmp_path, read_only=True)
    with contextlib.suppress(LedgerDamaged):
        use(tmp_path)
    use(tmp_path, damaged=True)
    assert list(tmp_path.glob("ledger.sqlite.damaged-*"))


@pytest.mark.parametrize("version", [-7, 1001, 1 << 30])
def test_an_impossible_version_is_damage(tmp_path: Path, version: int) -> None:
    use(tmp_path)
    db = sqlite3.connect(tmp_path / "ledger.sqlite")
    db.execute(f"PRAGMA user_version = {version}")
    db.close()
    with pytest.raises(LedgerDamaged):
        use(tmp_path, read_only=True)
    with Ledger(tmp_path) as ledger:
        assert KEY in ledger.items("nga")


def test_an_unknown_file_format_is_damage_and_a_protected_file_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    use(tmp_path)
    content = bytearray(path.read_bytes())
    connect = sqlite3.connect
    with monkeypatch.context() as protected:
        # File permissions do not stop root.
        protected.setattr(
            sqlite3, "connect", lambda path, **how: connect(f"file:{path}?mode=ro", uri=True, **how)
        )
        with pytest.raises(OutputError, match="readonly"):
            use(tmp_path)
    content[18] = 9
    path.write_bytes(content)
    with contextlib.suppress(LedgerDamaged):
        use(tmp_path)
    use(tmp_path, damaged=True)


def test_a_ledger_in_use_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(tmp_path)
    connect = sqlite3.connect
    other = connect(tmp_path / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(
        sqlite3, "connect", lambda path, **how: connect(path, **{**how, "timeout": 0})
    )
    for read_only in (True, False):
        with pytest.raises(OutputError, match="locked"):
            use(tmp_path, read_only=read_only)
    other.close()


def test_random_damage_is_harmless_or_repaired(tmp_path: Path) -> None:
    use(tmp_path)
    good = (tmp_path / "ledger.sqlite").read_bytes()
    chance = random.Random(20)
    for number in range(60):
        content = bytearray(good)
        for _ in range(chance.choice((1, 5, 30))):
            content[chance.randrange(len(good))] = chance.randrange(256)
        # A version that might be that of a newer program is refused.
        content[60:64] = good[60:64]
        path = tmp_path / str(number) / "ledger.sqlite"
        path.parent.mkdir()
        path.write_bytes(content)
        for read_only in (True, False):
            with contextlib.suppress(LedgerDamaged):
                use(path.parent, read_only=read_only)
        use(path.parent, damaged=True)


def test_salvage_copies_the_past_only_once(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.record([FOUND], START)
        ledger.record([GONE], START + 1)
    with Ledger(tmp_path, damaged=True) as ledger:
        (item,) = ledger.items("nga").values()
        assert len(ledger.past(item)) == 1


def test_facts_of_a_newer_version_are_ignored(tmp_path: Path) -> None:
    with Ledger(tmp_path) as ledger:
        ledger.set_facts("nga", SubsetFacts(files=7))
        ledger._db.execute("UPDATE subsets SET facts = json_set(facts, '$.later', 1)")
        assert ledger.facts("nga").files == 7


@pytest.mark.parametrize("how", ["deleted", "head", "cut", "pages", "words"])
def test_a_lost_ledger_loses_no_product(tmp_path: Path, how: str) -> None:
    small = TinySubset(tmp_path)
    small.holds(NAMES[1:])
    small.prepare()
    # By now the source has lost one more, of which the product is here.
    small.holds(NAMES[2:], version=1)
    path = small.settings.state / "ledger.sqlite"
    if how == "deleted":
        path.unlink()
    else:
        if how == "words":
            path.write_bytes(path.read_bytes().replace(b"not_in_archive", b"not_in_archiv\xff"))
        damage(path, how)
    inodes = {name: small.product(name).stat().st_ino for name in NAMES[1:]}
    assert small.prepare().code == 0
    assert small.kept() == set(NAMES[1:])
    for name in NAMES[1:]:
        assert small.product(name).read_bytes() == PICTURES[name]
        assert small.product(name).stat().st_ino == inodes[name]
    assert small.sync(full=True).code == 0
    assert small.kept() == set(NAMES[1:])


def test_after_a_lost_ledger_a_truncated_product_is_made_again(tmp_path: Path) -> None:
    small = TinySubset(tmp_path)
    small.prepare()
    (small.settings.state / "ledger.sqlite").unlink()
    small.product(NAMES[0]).write_bytes(PICTURES[NAMES[0]][:-40])
    assert small.prepare().code == 0
    assert small.product(NAMES[0]).read_bytes() == PICTURES[NAMES[0]]


def test_the_file_is_checked_after_a_killed_run_and_once_a_week(tmp_path: Path) -> None:
    clock = [START]

    def checked() -> int:
        with Ledger(tmp_path, clock=lambda: clock[0]) as ledger:
            run = ledger.begin_run("prepare")
            ledger.end_run(run, 0, {})
        db = sqlite3.connect(tmp_path / "ledger.sqlite")
        row = db.execute("SELECT value FROM notes WHERE name = 'checked'").fetchone()
        db.close()
        return int(row[0]) if row else 0

    checked()
    assert checked() == START
    clock[0] += DAY
    assert checked() == START
    with Ledger(tmp_path, clock=lambda: clock[0]) as ledger:
        ledger.begin_run("killed")
    assert checked() == START + DAY
    clock[0] += 8 * DAY
    assert checked() == START + 9 * DAY
