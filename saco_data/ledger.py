"""What is known of every item, and why. One SQLite file, one writer.

Rollback journal instead of WAL, because WAL needs shared memory and so breaks on network file
systems. Opening migrates the schema forward; a damaged file is set aside and begun anew, since
products and annotations hold all that is needed to rebuild it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saco_data.errors import DiskFull, OutputError
from saco_data.records import Outcome, Reason, State

FILE_NAME = "ledger.sqlite"
# Each entry brings the schema one version forward. Never edit one that was released; add the next.
MIGRATIONS = (
    """
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
    """,
)


@dataclass(frozen=True, slots=True)
class Item:
    """What the ledger holds of one item. Times in seconds since the epoch.

    `first_seen` and `last_seen` are of the item, `since` is when its present reason was first seen.
    """

    subset: str
    key: str
    is_asset: bool
    reason: Reason
    detail: str
    origin: str
    bytes: int | None
    sha256: str | None
    facts: dict[str, Any]
    first_seen: int
    last_seen: int
    since: int
    attempts: int

    @property
    def state(self) -> State:
        """The state that follows from the reason."""
        return self.reason.state


@dataclass
class SubsetFacts:
    """What is known of a whole subset: its annotation file when last read, and what was kept.

    `stamp` (path, size, mtime in ns) tells without reading whether the file is still the same.
    """

    stamp: list[Any] = field(default_factory=list)
    sha256: str = ""
    revision: str = ""
    files: int = 0
    image_nps: int = 0
    masks: int = 0
    image_nps_kept: int = 0
    masks_kept: int = 0
    keep_list_sha256: str = ""
    # The derived file and the sha256 of its source, so that a rerun does not rewrite it.
    derived_stamp: list[Any] = field(default_factory=list)
    derived_from: str = ""
    # Why the subset as a whole waits: (reason, message), or empty.
    waits: list[str] = field(default_factory=list)


class Ledger:
    """The ledger file. Context manager; use from one thread at a time.

    Raises DiskFull or OutputError where the file cannot be written.
    """

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        self.path = folder / FILE_NAME
        self._read_only = read_only
        self._pending = 0
        if not read_only:
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(
                    f"cannot be made ({error.strerror})",
                    item=str(folder),
                    remedy="Make its parent writable or choose another silver_path",
                ) from error
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        if self._read_only and not self.path.exists():
            db = sqlite3.connect(":memory:")
            _migrate(db)
            return db
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise self._explained(error) from error
            # Not a database any more: keep it for a post-mortem, rebuild from the files.
            aside = self.path.with_name(f"{FILE_NAME}.damaged-{int(time.time())}")
            self.path.replace(aside)
            return self._connect()

    def _connect(self) -> sqlite3.Connection:
        # check_same_thread: the pipeline's main thread writes, tests and status read.
        db = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        try:
            db.execute("PRAGMA journal_mode = TRUNCATE")
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA cache_size = -65536")
            if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok" and not self._read_only:
                raise sqlite3.DatabaseError("damaged")
            _migrate(db)
        except BaseException:
            db.close()
            raise
        return db

    def __enter__(self) -> Ledger:
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
    def _writing(self) -> Iterator[None]:
        try:
            if not self._db.in_transaction:
                self._db.execute("BEGIN")
            yield
        except sqlite3.OperationalError as error:
            raise self._explained(error) from error

    def _explained(self, error: sqlite3.OperationalError) -> Exception:
        if "full" in str(error):
            return DiskFull(
                "no space left for the ledger", item=str(self.path), remedy="Free space, run again"
            )
        return OutputError(
            f"the ledger cannot be used ({error})",
            item=str(self.path),
            remedy="Make the folder readable and writable",
        )

    def commit(self) -> None:
        """Makes everything recorded so far durable."""
        if self._db.in_transaction:
            with self._writing():
                self._db.execute("COMMIT")
        self._pending = 0

    def record(self, outcomes: Iterable[Outcome], now: int | None = None) -> None:
        """Writes outcomes. An attempt counts unless the outcome says that it was not tried."""
        now = int(time.time()) if now is None else now
        with self._writing():
            for outcome in outcomes:
                self._record(outcome, now)

    def _record(self, outcome: Outcome, now: int) -> None:
        digest = bytes.fromhex(outcome.sha256) if outcome.sha256 else None
        facts = json.dumps(outcome.facts, separators=(",", ":")) if outcome.facts else None
        self._db.execute(
            """
            INSERT INTO items VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (subset, is_asset, key) DO UPDATE SET
                since = CASE WHEN reason = excluded.reason THEN since ELSE excluded.since END,
                state = excluded.state, reason = excluded.reason, detail = excluded.detail,
                origin = excluded.origin,
                bytes = coalesce(excluded.bytes, bytes),
                sha256 = coalesce(excluded.sha256, sha256),
                facts = coalesce(excluded.facts, facts),
                last_seen = excluded.last_seen, attempts = attempts + excluded.attempts
            """,
            (
                outcome.subset,
                outcome.key,
                int(outcome.is_asset),
                outcome.state,
                outcome.reason,
                outcome.detail[:1000],
                outcome.origin,
                outcome.bytes,
                digest,
                facts,
                now,
                now,
                now,
                int(outcome.tried),
            ),
        )

    def forget(self, subset: str, keys: Iterable[str], *, is_asset: bool = False) -> None:
        """Removes items that the annotations no longer name."""
        with self._writing():
            self._db.executemany(
                "DELETE FROM items WHERE subset = ? AND is_asset = ? AND key = ?",
                ((subset, int(is_asset), key) for key in keys),
            )

    def items(
        self, subset: str, *, is_asset: bool = False, state: State | None = None
    ) -> dict[str, Item]:
        """The items of a subset by key, all or those in one state."""
        query = "SELECT * FROM items WHERE subset = ? AND is_asset = ?"
        values: list[Any] = [subset, int(is_asset)]
        if state is not None:
            query += " AND state = ?"
            values.append(state)
        return {item.key: item for item in map(_item, self._db.execute(query, values))}

    def find(self, key: str) -> list[Item]:
        """Every item with this key, in all subsets."""
        rows = self._db.execute("SELECT * FROM items WHERE key = ?", (key,))
        return [_item(row) for row in rows]

    def counts(self, subset: str, *, is_asset: bool = False) -> dict[Reason, int]:
        """How many items there are by reason."""
        rows = self._db.execute(
            "SELECT reason, count(*) FROM items WHERE subset = ? AND is_asset = ?"
            " GROUP BY state, reason",
            (subset, int(is_asset)),
        )
        return {Reason(reason): count for reason, count in rows}

    def done_bytes(self, subset: str) -> tuple[int, int]:
        """Number and bytes of the products that are done."""
        row = self._db.execute(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM items"
            " WHERE subset = ? AND is_asset = 0 AND state = 'done'",
            (subset,),
        ).fetchone()
        return int(row[0]), int(row[1])

    def facts(self, subset: str) -> SubsetFacts:
        """What is known of the whole subset; empty where nothing is."""
        row = self._db.execute("SELECT facts FROM subsets WHERE subset = ?", (subset,)).fetchone()
        return SubsetFacts(**json.loads(row[0])) if row else SubsetFacts()

    def set_facts(self, subset: str, facts: SubsetFacts) -> None:
        """Replaces what is known of the whole subset."""
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO subsets VALUES (?, ?)", (subset, json.dumps(vars(facts)))
            )

    def begin_run(self, command: str) -> int:
        """Notes the start of a run; returns its number."""
        with self._writing():
            cursor = self._db.execute(
                "INSERT INTO runs (command, started) VALUES (?, ?)", (command, int(time.time()))
            )
        self.commit()
        return int(cursor.lastrowid or 0)

    def end_run(self, run: int, exit_code: int, changes: dict[str, Any]) -> None:
        """Notes how a run ended and what it changed."""
        with self._writing():
            self._db.execute(
                "UPDATE runs SET ended = ?, exit_code = ?, changes = ? WHERE id = ?",
                (int(time.time()), exit_code, json.dumps(changes), run),
            )
        self.commit()

    def runs(self) -> list[dict[str, Any]]:
        """All runs, oldest first; `ended` is None for one that was killed."""
        cursor = self._db.execute("SELECT * FROM runs ORDER BY id")
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor]
        for row in rows:
            row["changes"] = json.loads(row["changes"]) if row["changes"] else {}
        return rows


def _migrate(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise OutputError(
            f"the ledger has schema {version}, this saco-data knows {len(MIGRATIONS)}",
            remedy="Install the newer saco-data that wrote it",
        )
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        db.executescript(f"BEGIN; {script} PRAGMA user_version = {number}; COMMIT;")


def _item(row: tuple[Any, ...]) -> Item:
    subset, key, is_asset, _, reason, detail, origin, size, digest, facts, *rest = row
    return Item(
        subset,
        key,
        bool(is_asset),
        Reason(reason),
        detail,
        origin,
        size,
        digest.hex() if digest else None,
        json.loads(facts) if facts else {},
        *rest,
    )
