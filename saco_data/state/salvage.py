"""Quarantining a damaged ledger and copying what can still be read from it.

Products are safe, they are files. Only the ledger knows which items were gone and since when, and
where files came from.
"""

# ruff: noqa: S608 - queries consist of constants of ours, values are always bound
from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

from saco_data.model.reasons import Reason
from saco_data.state import schema
from saco_data.storage import untrusted_json

# UnicodeDecodeError: SQLite quotes damaged text of the file in its messages.
_UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
# Greater than any real time or size; sums and dates of smaller numbers do not overflow.
_LIMIT = 1 << 37
# The tables to copy and their keys.
_KEYS = {
    "texts": "id",
    "items": "subset {0}, is_asset {0}, key",
    "archived": "subset {0}, is_asset {0}, key",
    "past": "rowid",
}


def quarantine_database(path: Path, now: int) -> Path:
    """Renames a damaged file and its journal; returns the new path of the file."""
    quarantined = path.with_name(f"{path.name}.damaged-{now}")
    path.replace(quarantined)
    journal = path.with_name(f"{path.name}-journal")
    with contextlib.suppress(FileNotFoundError):
        journal.replace(quarantined.with_name(f"{quarantined.name}-journal"))
    return quarantined


def salvage(damaged: Path, db: sqlite3.Connection) -> None:
    """Copies all readable and valid rows of a damaged ledger into a new, empty one."""
    _extend(damaged)
    old = sqlite3.connect(damaged, isolation_level=None)
    old.text_factory = lambda text: text.decode(errors="replace")
    try:
        db.execute("BEGIN")
        for table in _KEYS:
            for order in ("ASC", "DESC"):
                _copy(old, db, table, order)
        schema.move_archived(db)
        db.execute("COMMIT")
    except _UNREADABLE:
        # Unreadable, or the rows contradict the schema: start with an empty ledger.
        if db.in_transaction:
            db.execute("ROLLBACK")
    finally:
        old.close()


def _extend(path: Path) -> None:
    """Extends a truncated file to the length in its header: SQLite would not open it otherwise."""
    with path.open("rb") as file:
        head = file.read(100)
    # SQLite's header: page size (bytes 16-17, 1 means 65536), number of pages (bytes 28-31).
    size = int.from_bytes(head[16:18]) * int.from_bytes(head[28:32])
    if head.startswith(b"SQLite format 3") and path.stat().st_size < size < 1 << 40:
        os.truncate(path, size)


def _copy(old: sqlite3.Connection, db: sqlite3.Connection, table: str, order: str) -> None:
    """Copies rows up to the first unreadable one; done from both ends, this saves most of them."""
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    if table == "past":
        # Its only key: keeps a row that is read from both ends from being copied twice.
        columns.insert(0, "rowid")
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    facts = {number for number, text in db.execute("SELECT id, text FROM texts") if _is_facts(text)}
    with contextlib.suppress(*_UNREADABLE):
        for values in old.execute(
            f"SELECT {names} FROM {table} ORDER BY {_KEYS[table].format(order)} {order}"
        ):
            row = dict(zip(columns, values, strict=True))
            if "facts_shared" in row and row["facts_shared"] not in facts:
                row["facts_shared"] = None
            if _is_valid(row):
                db.execute(
                    f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", list(row.values())
                )


def _is_valid(row: dict[str, Any]) -> bool:
    integers = (
        "first_seen",
        "last_seen",
        "since",
        "attempts",
        "until",
        "is_asset",
        "gone_confirmed",
    )
    optional = ("bytes", "gone_first", "gone_last", "origin_head")
    texts = ("subset", "key", "text", "detail", "origin")
    return (
        row.get("reason", "ok") in set(Reason)
        and _is_facts(row.get("facts") or "{}")
        and all(_is_number(row.get(name, 0)) for name in integers)
        and all(row.get(name) is None or _is_number(row[name]) for name in optional)
        and all(isinstance(row.get(name, ""), str) for name in texts)
        and isinstance(row.get("sha256") or b"", bytes)
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < _LIMIT


def _is_facts(text: Any) -> bool:
    try:
        return isinstance(untrusted_json.parse(text), dict)
    except (ValueError, TypeError):
        return False
