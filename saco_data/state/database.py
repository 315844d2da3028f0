"""The ledger's file: opening, migrating, committing, and what to do when it is damaged.

Rollback journal instead of WAL, because WAL needs shared memory and so breaks on network file
systems.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from saco_data.model.errors import DiskFull, Incomplete, OutputError, SacoError
from saco_data.state import schema
from saco_data.state.interning import Texts

FILE_NAME = "ledger.sqlite"
# Reading the whole file for damage takes seconds at a million items: not at every start.
CHECK_SECONDS = 7 * 86400
# A version of the schema beyond this is none: no program of ours ever wrote it.
LAST_VERSION = 1000
# What stands between us and the file. All else that SQLite says is about what is in it.
_TROUBLE = (
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


class LedgerDamaged(Incomplete):
    """The ledger file is no longer a sound database; the next run that writes rebuilds it."""


class Database:
    """An open ledger file. Context manager; use from one thread at a time. `clock`: as `time.time`.

    With `read_only` nothing is written, not even a migration. `damaged`: the file is known to be,
    so it is set aside. Raises DiskFull or OutputError where the file cannot be written,
    LedgerDamaged where it cannot be read.
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
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(
                    f"cannot be made ({error.strerror})",
                    item=str(folder),
                    remedy="Make its parent writable or choose another silver_path",
                ) from error
        with self._explained(), self._making_sense():
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
                if not self._is_damage(error):
                    raise
        from saco_data.state import salvage

        aside = salvage.set_aside(self.path, self.now())
        db = self._connect()
        salvage.salvage(aside, db)
        return db

    def _connect(self) -> sqlite3.Connection:
        # check_same_thread: the pipeline's main thread writes, tests and status read.
        db = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            _check_version(db)
            db.execute("PRAGMA journal_mode = TRUNCATE")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA cache_size = -65536")
            due = self._check_due(db)
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
            _check_version(db)
            if schema.version_of(db) < len(schema.MIGRATIONS):
                # Whoever only looks leaves the file as it is.
                copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
                db.backup(copy)
                db.close()
                schema.migrate(copy)
                return copy
        except BaseException:
            db.close()
            raise
        return db

    def _check_due(self, db: sqlite3.Connection) -> bool:
        """After a run that did not end, and once a week."""
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
        finally:
            self._db.close()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except UnicodeDecodeError as error:
            # Words of the file, in what SQLite says of it.
            raise self._damaged("text that is none") from error
        except sqlite3.DatabaseError as error:
            if self._is_damage(error):
                raise self._damaged(str(error)) from error
            raise self._in_words(error) from error

    def _is_damage(self, error: Exception) -> bool:
        kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if kind == sqlite3.SQLITE_READONLY:
            return self._of_no_format()
        return kind not in _TROUBLE

    def _of_no_format(self) -> bool:
        """Whether the head speaks of a format that does not exist: SQLite will not write that."""
        try:
            with self.path.open("rb") as file:
                return any(number not in (1, 2) for number in file.read(20)[18:])
        except OSError:
            return False

    def _damaged(self, how: str) -> LedgerDamaged:
        return LedgerDamaged(
            f"the ledger is damaged ({how})",
            item=str(self.path),
            remedy="The next `saco prepare` or `saco sync` rebuilds it from the files",
        )

    @contextlib.contextmanager
    def _making_sense(self) -> Iterator[None]:
        """Around the reading of rows: SQLite notices a broken page, but not a broken word."""
        try:
            yield
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise self._damaged(f"an entry makes no sense: {error}") from error

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        with self._explained():
            if not self._db.in_transaction:
                self._db.execute("BEGIN")
            yield

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """All reads within the context see the same state of the ledger.

        Takes part in the transaction that is open, if there is one, and leaves it open.
        """
        with self._explained():
            begun = not self._db.in_transaction
            if begun:
                self._db.execute("BEGIN")
            try:
                yield
            finally:
                if begun and self._db.in_transaction:
                    self._db.execute("COMMIT")

    def _in_words(self, error: sqlite3.DatabaseError) -> SacoError:
        if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
            return DiskFull(
                "no space left for the ledger", item=str(self.path), remedy="Free space, run again"
            )
        return OutputError(
            f"the ledger cannot be used ({error})",
            item=str(self.path),
            remedy="Make the folder readable and writable",
        )

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._explained():
            return self._db.execute(query, values).fetchall()

    def commit(self) -> None:
        """Makes everything recorded so far durable."""
        if self._db.in_transaction:
            with self._writing():
                self._db.execute("COMMIT")


def _check_version(db: sqlite3.Connection) -> None:
    """Raises DatabaseError for a version that is none; a newer one is refused elsewhere."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= version <= LAST_VERSION:
        raise sqlite3.DatabaseError(f"schema {version}")
