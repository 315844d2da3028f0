"""The tables of the ledger, and the migrations from version to version."""

# ruff: noqa: S608 - queries consist of constants of ours, values are always bound
from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable

from saco_data.model.errors import OutputError
from saco_data.state.interning import Texts
from saco_data.state.rows import COLUMNS, INSERT

_V1 = """
    CREATE TABLE items (
        subset TEXT NOT NULL, key TEXT NOT NULL, is_asset INTEGER NOT NULL,
        state TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, origin TEXT NOT NULL,
        bytes INTEGER, sha256 BLOB, facts TEXT,
        first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, since INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        PRIMARY KEY (subset, is_asset, key)
    ) WITHOUT ROWID;
    CREATE INDEX by_state ON items (subset, is_asset, state, reason);
    CREATE TABLE subsets (
        subset TEXT PRIMARY KEY, facts TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE runs (
        id INTEGER PRIMARY KEY, command TEXT NOT NULL, started INTEGER NOT NULL,
        ended INTEGER, exit_code INTEGER, changes TEXT
    );
"""
# `gone_first` and `gone_last`: first and last time that a source which was not throttled reported
# an item as gone, without another report in between.
# `counts` is kept by triggers, so that counting takes the same time for any number of items.
# `past` holds the earlier reasons of items.
_V2 = """
    ALTER TABLE items RENAME TO items_v1;
    DROP INDEX by_state;
    CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
    CREATE TABLE items (
        subset TEXT NOT NULL, is_asset INTEGER NOT NULL, key TEXT NOT NULL,
        reason TEXT NOT NULL, bytes INTEGER, sha256 BLOB,
        first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, since INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        gone_first INTEGER, gone_last INTEGER, gone_confirmed INTEGER NOT NULL DEFAULT 0,
        detail TEXT NOT NULL, origin_head INTEGER, origin TEXT NOT NULL,
        facts_shared INTEGER, facts TEXT,
        PRIMARY KEY (subset, is_asset, key)
    ) WITHOUT ROWID;
    CREATE INDEX not_done ON items (subset, is_asset, reason) WHERE reason != 'ok';
    CREATE TABLE past (
        subset TEXT NOT NULL, is_asset INTEGER NOT NULL, key TEXT NOT NULL, until INTEGER NOT NULL,
        reason TEXT NOT NULL, since INTEGER NOT NULL, detail TEXT NOT NULL
    );
    CREATE INDEX past_of ON past (subset, is_asset, key, until);
    CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE counts (
        subset TEXT NOT NULL, is_asset INTEGER NOT NULL, reason TEXT NOT NULL,
        number INTEGER NOT NULL, bytes INTEGER NOT NULL,
        PRIMARY KEY (subset, is_asset, reason)
    ) WITHOUT ROWID;
    CREATE TRIGGER count_new AFTER INSERT ON items BEGIN
        INSERT INTO counts VALUES (new.subset, new.is_asset, new.reason, 1, coalesce(new.bytes, 0))
        ON CONFLICT DO UPDATE SET number = number + 1, bytes = bytes + excluded.bytes;
    END;
    CREATE TRIGGER count_old AFTER DELETE ON items BEGIN
        UPDATE counts SET number = number - 1, bytes = bytes - coalesce(old.bytes, 0)
        WHERE subset = old.subset AND is_asset = old.is_asset AND reason = old.reason;
    END;
    CREATE TRIGGER count_changed AFTER UPDATE OF reason, bytes ON items
    WHEN old.reason IS NOT new.reason OR old.bytes IS NOT new.bytes BEGIN
        UPDATE counts SET number = number - 1, bytes = bytes - coalesce(old.bytes, 0)
        WHERE subset = old.subset AND is_asset = old.is_asset AND reason = old.reason;
        INSERT INTO counts VALUES (new.subset, new.is_asset, new.reason, 1, coalesce(new.bytes, 0))
        ON CONFLICT DO UPDATE SET number = number + 1, bytes = bytes + excluded.bytes;
    END;
"""
# `archived` holds products that the annotations no longer name. Version 2 kept them in `items`, in
# a subset with `_ARCHIVE_SUFFIX`.
_V3 = """
    CREATE TABLE archived (
        subset TEXT NOT NULL, is_asset INTEGER NOT NULL, key TEXT NOT NULL,
        reason TEXT NOT NULL, bytes INTEGER, sha256 BLOB,
        first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL, since INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        gone_first INTEGER, gone_last INTEGER, gone_confirmed INTEGER NOT NULL DEFAULT 0,
        detail TEXT NOT NULL, origin_head INTEGER, origin TEXT NOT NULL,
        facts_shared INTEGER, facts TEXT,
        PRIMARY KEY (subset, is_asset, key)
    ) WITHOUT ROWID;
"""
_ARCHIVE_SUFFIX = " (set aside)"


def _convert_items(db: sqlite3.Connection) -> None:
    """Converts items of version 1; a gone item counts as reported when its reason began."""
    texts = Texts(db)
    rows = db.execute(
        "SELECT subset, is_asset, key, reason, bytes, sha256, first_seen, last_seen, since,"
        " attempts, state, detail, origin, facts FROM items_v1 ORDER BY subset, is_asset, key"
    )
    for row in rows:
        *plain, state, detail, origin, facts = row
        gone = (plain[8], plain[7]) if state == "gone" else (None, None)
        columns = texts.split(row[2], origin, json.loads(facts) if facts else {})
        db.execute(INSERT, (*plain, *gone, 0, detail, *columns))
    db.execute("DROP TABLE items_v1")


def move_archived(db: sqlite3.Connection) -> None:
    """Moves the archived products of version 2 out of `items`."""
    rest = COLUMNS.partition(", ")[2]
    subsets = [subset for (subset,) in db.execute("SELECT DISTINCT subset FROM counts")]
    for subset in subsets:
        if subset.endswith(_ARCHIVE_SUFFIX):
            db.execute(
                f"INSERT OR IGNORE INTO archived ({COLUMNS}) SELECT ?, {rest} FROM items"
                " WHERE subset = ?",
                (subset.removesuffix(_ARCHIVE_SUFFIX), subset),
            )
            db.execute("DELETE FROM items WHERE subset = ?", (subset,))
            db.execute("DELETE FROM counts WHERE subset = ?", (subset,))


# Each entry leads to the next version. Never edit one that was released; add another.
MIGRATIONS: tuple[tuple[str, Callable[[sqlite3.Connection], None] | None], ...] = (
    (_V1, None),
    (_V2, _convert_items),
    (_V3, move_archived),
)


def version_of(db: sqlite3.Connection) -> int:
    """The version of a file. Raises OutputError for one that is newer than this program."""
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise OutputError(
            f"the ledger has schema {version}, this saco-data knows {len(MIGRATIONS)}",
            remedy="Install the newer saco-data that wrote it",
        )
    return version


def migrate(db: sqlite3.Connection) -> None:
    """Brings a file to the newest version; each step completely or not at all."""
    for number, (script, convert) in enumerate(MIGRATIONS, 1):
        if number <= version_of(db):
            continue
        try:
            db.executescript(f"BEGIN IMMEDIATE; {script}")
            if convert:
                convert(db)
            db.execute(f"PRAGMA user_version = {number}")
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
