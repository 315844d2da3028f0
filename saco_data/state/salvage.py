"""What becomes of a damaged ledger: set aside, and read for as long as it can be.

Products are not at stake, they lie on disk. What only the ledger knows is: what was gone and since
when, and where things came from.
"""

# ruff: noqa: S608 - queries are made of words of our own, values are always bound
from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

from saco_data.model.reasons import Reason
from saco_data.storage import untrusted_json

# SQLite's own words may hold some of the file's, and so be no text.
_UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
# Beyond any time and any size: what is added to it, or shown as a date, still fits.
_LIMIT = 1 << 37


def set_aside(path: Path, now: int) -> Path:
    """Gives a damaged file another name, its journal with it; returns the new place."""
    aside = path.with_name(f"{path.name}.damaged-{now}")
    path.replace(aside)
    journal = path.with_name(f"{path.name}-journal")
    with contextlib.suppress(FileNotFoundError):
        journal.replace(aside.with_name(f"{aside.name}-journal"))
    return aside


def salvage(damaged: Path, db: sqlite3.Connection) -> None:
    """Copies what can still be read of a damaged ledger, and fits the schema, into a new one."""
    _lengthen(damaged)
    old = sqlite3.connect(damaged, isolation_level=None)
    old.text_factory = lambda text: text.decode(errors="replace")
    try:
        db.execute("BEGIN")
        for table in ("texts", "items", "past"):
            for order in ("ASC", "DESC"):
                _copy(old, db, table, order)
        db.execute("COMMIT")
    except _UNREADABLE:
        # Nothing can be read at all, or what was read does not fit: begin with an empty ledger.
        if db.in_transaction:
            db.execute("ROLLBACK")
    finally:
        old.close()


def _lengthen(path: Path) -> None:
    """Fills a file that was cut off up to the length it speaks of: else SQLite reads none of it."""
    with path.open("rb") as file:
        head = file.read(100)
    # The header of SQLite's file format: page size (1 means 65536) and number of pages.
    size = int.from_bytes(head[16:18]) * int.from_bytes(head[28:32])
    if head.startswith(b"SQLite format 3") and path.stat().st_size < size < 1 << 40:
        os.truncate(path, size)


def _copy(old: sqlite3.Connection, db: sqlite3.Connection, table: str, order: str) -> None:
    """Copies rows up to the first that cannot be read; from both ends, that is most of them."""
    columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
    if table == "past":
        # It has no other key, and what can be read from both ends must come in once.
        columns.insert(0, "rowid")
    key = {"texts": "id", "items": "subset {0}, is_asset {0}, key", "past": "rowid"}[table]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    facts = {number for number, text in db.execute("SELECT id, text FROM texts") if _is_facts(text)}
    with contextlib.suppress(*_UNREADABLE):
        for values in old.execute(
            f"SELECT {names} FROM {table} ORDER BY {key.format(order)} {order}"
        ):
            row = dict(zip(columns, values, strict=True))
            if "facts_shared" in row and row["facts_shared"] not in facts:
                row["facts_shared"] = None
            if _makes_sense(row):
                db.execute(
                    f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", list(row.values())
                )


def _makes_sense(row: dict[str, Any]) -> bool:
    whole = ("first_seen", "last_seen", "since", "attempts", "until", "is_asset", "gone_confirmed")
    perhaps = ("bytes", "gone_first", "gone_last", "origin_head")
    words = ("subset", "key", "text", "detail", "origin")
    return (
        row.get("reason", "ok") in set(Reason)
        and _is_facts(row.get("facts") or "{}")
        and all(_is_whole(row.get(name, 0)) for name in whole)
        and all(row.get(name) is None or _is_whole(row[name]) for name in perhaps)
        and all(isinstance(row.get(name, ""), str) for name in words)
        and isinstance(row.get("sha256") or b"", bytes)
    )


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < _LIMIT


def _is_facts(text: Any) -> bool:
    try:
        return isinstance(untrusted_json.parse(text), dict)
    except (ValueError, TypeError):
        return False
