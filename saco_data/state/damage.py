"""Telling a damaged ledger from one that cannot be used at the moment, in words for the user."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from saco_data.model.errors import DiskFull, DiskTrouble, Incomplete, OutputError, SacoError

# Errors of SQLite about access to the file. All others are about its content.
_ACCESS_ERRORS = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
)
# No released program writes a higher version of the schema: beyond it, the number is damaged.
_MAX_VERSION = 1000


class LedgerDamaged(Incomplete):
    """The ledger is not a sound database; the next run that writes rebuilds it."""


def is_damage(error: Exception, path: Path) -> bool:
    """Whether an error from SQLite, or from converting rows, means that the file is damaged."""
    kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if kind == sqlite3.SQLITE_READONLY:
        return _has_unknown_format(path)
    return kind not in _ACCESS_ERRORS


def _has_unknown_format(path: Path) -> bool:
    """Whether the header has an unknown format version; SQLite opens such files read-only."""
    try:
        with path.open("rb") as file:
            return any(number not in (1, 2) for number in file.read(20)[18:])
    except OSError:
        return False


def check_version(db: sqlite3.Connection) -> None:
    """Raises DatabaseError for an impossible version of the schema."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= version <= _MAX_VERSION:
        raise sqlite3.DatabaseError(f"schema {version}")


def describe_damage(problem: str, path: Path) -> LedgerDamaged:
    """The error for a damaged file."""
    return LedgerDamaged(
        f"the ledger is damaged ({problem})",
        item=str(path),
        remedy="The next `saco prepare` or `saco sync` rebuilds it from the files",
    )


def describe_access_error(error: sqlite3.DatabaseError, path: Path) -> SacoError:
    """The error for a file that is full, locked, protected or otherwise out of reach."""
    if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
        return DiskFull(
            "no space left for the ledger", item=str(path), remedy="Free space, run again"
        )
    kind = error.sqlite_errorcode & 0xFF
    if kind == sqlite3.SQLITE_IOERR or (
        # SQLite does not say why: where nothing forbids it, the disk or the system refused.
        kind in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) and _is_allowed(path)
    ):
        return DiskTrouble(
            f"the ledger cannot be used ({error})",
            item=str(path),
            remedy=DiskTrouble.REMEDY,
        )
    return OutputError(
        f"the ledger cannot be used ({error})",
        item=str(path),
        remedy="Make the folder readable and writable",
    )


def _is_allowed(path: Path) -> bool:
    """Whether this user may write the file, or make it."""
    if path.exists():
        return path.is_file() and os.access(path, os.R_OK | os.W_OK)
    return os.access(path.parent, os.W_OK | os.X_OK)
