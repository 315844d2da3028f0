"""The content of the ledger, through failures, migrations and damage."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.model.errors import OutputError
from saco_data.model.items import SubsetFacts
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Outcome
from saco_data.state import schema
from saco_data.state.damage import describe_access_error
from saco_data.state.database import LedgerDamaged
from saco_data.state.interning import Texts
from saco_data.state.ledger import Ledger
from tests.helpers.tiny_subset import DAY, HOUR, NAMES, PICTURES, START, SUBSET, TinySubset

KEY = "0a1b2c3d-4e5f.jpg"
FOUND = Outcome(
    "nga",
    KEY,
    Reason.OK,
    origin="https://api.nga.gov/iiif/0a1b2c3d-4e5f/full/!640,640/0/default.jpg",
    bytes=1234,
    sha256="ab" * 32,
    facts={"etag": '"x"', "licence": "CC0"},
)
GONE = Outcome("nga", KEY, Reason.HTTP_404, "HTTP 404 (not here)", facts={"place": "there"})


def known(ledger: Ledger, key: str = KEY) -> object:
    return ledger.items("nga")[key]


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
