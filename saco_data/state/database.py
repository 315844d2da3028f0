"""The ledger's file: opening, migrating and committing.

It uses a rollback journal, not WAL: WAL needs shared memory, which network file systems lack.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from saco_data.state import schema
from saco_data.state.damage import (
    LedgerDamaged,
    check_version,
    describe_access_error,
    describe_damage,
    is_damage,
)
from saco_data.state.interning import Texts
from saco_data.storage.disk_errors import explain_errors

__all__ = ["FILE_NAME", "Database", "LedgerDamaged"]

FILE_NAME = "ledger.sqlite"
# Checking the whole file takes seconds for a million items, too long for every start.
CHECK_SECONDS = 7 * 86400


class Database:
    """An open ledger file: a context manager, for one thread at a time.

    `read_only`: nothing is written, not even a migration. `damaged`: the file is known to be
    damaged and is quarantined at once. `clock`: seconds since the epoch, like `time.time`. Raises
    DiskFull or OutputError if the file cannot be used, LedgerDamaged if it cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        *,
        read_only: bool = False,
        damaged: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = folder / FILE_NAME
        self._read_only = read_only
        self._clock = clock
        if not read_only:
            with explain_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
        with self._translating_errors(), self._checking_content():
            self._db = self._open(damaged)
            self._texts = Texts(self._db)

    def now(self) -> int:
        """The time, in seconds since the epoch."""
        return int(self._clock())

    def _open(self, damaged: bool) -> sqlite3.Connection:
        if self._read_only:
            return self._connect_to_read()
        if not damaged:
            try:
                return self._connect()
            except (sqlite3.DatabaseError, ValueError, TypeError) as error:
                if not is_damage(error, self.path):
                    raise
        from saco_data.state import salvage

        quarantined = salvage.quarantine_database(self.path, self.now())
        db = self._connect()
        salvage.salvage(quarantined, db)
        return db

    def _connect(self) -> sqlite3.Connection:
        # The pipeline's main thread writes; other threads read, one at a time.
        db = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            check_version(db)
            db.execute("PRAGMA journal_mode = TRUNCATE")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA cache_size = -65536")
            due = self._is_check_due(db)
            if due and db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("damaged")
            schema.migrate(db)
            if due:
                db.execute("INSERT OR REPLACE INTO notes VALUES ('checked', ?)", (self.now(),))
        except BaseException:
            db.close()
            raise
        return db

    def _connect_to_read(self) -> sqlite3.Connection:
        if not self.path.exists():
            db = sqlite3.connect(":memory:", isolation_level=None)
            schema.migrate(db)
            return db
        db = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            check_version(db)
            if schema.version_of(db) < len(schema.MIGRATIONS):
                # Migrate a copy: the file itself stays as it is.
                copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                db.backup(copy)
                db.close()
                schema.migrate(copy)
                return copy
        except BaseException:
            db.close()
            raise
        return db

    def _is_check_due(self, db: sqlite3.Connection) -> bool:
        """Whether the file needs a check: after a run that was killed, and once a week."""
        if schema.version_of(db) < len(schema.MIGRATIONS):
            return schema.version_of(db) > 0
        last = db.execute("SELECT ended FROM runs ORDER BY id DESC LIMIT 1").fetchone()
        if last is None:
            return False
        checked = db.execute("SELECT value FROM notes WHERE name = 'checked'").fetchone()
        age = self.now() - int(checked[0]) if checked else CHECK_SECONDS
        return last[0] is None or not 0 <= age < CHECK_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commits and closes."""
        try:
            self.commit()
            if not self._read_only:
                # Removes the empty journal, which the mode TRUNCATE leaves.
                with contextlib.suppress(sqlite3.DatabaseError):
                    self._db.execute("PRAGMA journal_mode = DELETE")
        finally:
            self._db.close()

    @contextlib.contextmanager
    def _translating_errors(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            # SQLite quoted damaged text of the file in its message.
            raise describe_damage("invalid text", self.path) from error
        except sqlite3.DatabaseError as error:
            if is_damage(error, self.path):
                raise describe_damage(str(error), self.path) from error
            raise describe_access_error(error, self.path) from error

    @contextlib.contextmanager
    def _checking_content(self) -> Iterator[None]:
        """Around converting rows: SQLite notices a damaged page, but not a damaged value."""
        try:
            yield
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise describe_damage(f"an entry has an invalid value: {error}", self.path) from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._translating_errors():
            if not self._db.in_transaction:
                self._db.execute("BEGIN")
            yield

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """All reads within the context see the same state of the ledger.

        Takes part in the transaction that is open, if there is one, and leaves it open.
        """
        with self._translating_errors():
            begun = not self._db.in_transaction
            if begun:
                self._db.execute("BEGIN")
            try:
                yield
            finally:
                if begun and self._db.in_transaction:
                    self._db.execute("COMMIT")

    def _fetch(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._translating_errors():
            return self._db.execute(query, values).fetchall()

    def commit(self) -> None:
        """Makes everything recorded so far durable."""
        if self._db.in_transaction:
            with self._writing():
                self._db.execute("COMMIT")
