"""What is known of every item, and why. One SQLite file, one writer.

A damaged file is set aside and begun anew with what can still be read of it, since products and
annotations hold all that is needed to rebuild the rest.
"""

# ruff: noqa: S608 - queries are made of words of our own, values are always bound
from __future__ import annotations

import json
from collections.abc import Container, Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

from saco_data.model.items import Change, Item, Past, SubsetFacts
from saco_data.model.reasons import Effect, Reason, State
from saco_data.model.records import Outcome
from saco_data.model.snapshot import Snapshot
from saco_data.state import schema, snapshot
from saco_data.state.database import FILE_NAME, Database, LedgerDamaged

__all__ = ["FILE_NAME", "Change", "Item", "Ledger", "LedgerDamaged", "Past", "SubsetFacts"]


class Ledger(Database):
    """The ledger as the rest of the program sees it. Raises what `Database` says."""

    def record(self, outcomes: Iterable[Outcome], now: int | None = None) -> list[Change]:
        """Writes outcomes; returns what each changed. An attempt counts if it was one (`tried`).

        An item that is gone stays so through failures that say nothing about its existence.
        """
        now = self.now() if now is None else now
        with self._writing():
            return [self._record(outcome, now) for outcome in outcomes]

    def _record(self, new: Outcome, now: int) -> Change:
        where = (new.subset, int(new.is_asset), new.key)
        row = self._db.execute(f"{_SELECT} WHERE {_IS}", where).fetchone()
        if row is None:
            item = Item(
                new.subset,
                new.key,
                new.is_asset,
                new.reason,
                new.detail[:1000],
                new.origin,
                new.bytes,
                new.sha256,
                new.facts,
                now,
                now,
                now,
                int(new.tried),
            )
            self._db.execute(schema.INSERT, self._columns(item))
            return Change(new.key, new.is_asset, None, new.reason, made=False)
        with self._making_sense():
            old = self._item(row)
        change = Change(new.key, new.is_asset, old.reason, new.reason, old.sha256 is not None)
        attempts = old.attempts + new.tried
        if old.state is State.GONE and _says_nothing(new.reason):
            self._db.execute(f"UPDATE items SET attempts = ? WHERE {_IS}", (attempts, *where))
            return replace(change, after=old.reason)
        if old.reason is not new.reason and old.attempts:
            past = (*where, now, old.reason, old.since, old.detail)
            self._db.execute("INSERT INTO past VALUES (?, ?, ?, ?, ?, ?, ?)", past)
        still_gone = new.state is State.GONE and old.state is State.GONE
        item = Item(
            new.subset,
            new.key,
            new.is_asset,
            new.reason,
            new.detail[:1000],
            new.origin or old.origin,
            old.bytes if new.bytes is None else new.bytes,
            new.sha256 or old.sha256,
            {**old.facts, **new.facts} if _same_file(old, new) else new.facts,
            old.first_seen,
            now,
            old.since if old.reason is new.reason else now,
            attempts,
            old.gone_first if still_gone else None,
            old.gone_last if still_gone else None,
            old.gone_confirmed and still_gone,
        )
        self._db.execute(_UPDATE, (*self._columns(item)[3:], *where))
        return change

    def snapshot(self, subset: str, *, products: bool = False, assets: bool = False) -> Snapshot:
        """The state of a subset, read in one transaction.

        `products` adds what `known` returns, `assets` all raw assets; both take time and memory
        in proportion to their number, the rest does not.
        """
        return snapshot.read(self, subset, products=products, assets=assets)

    def witness(self, subset: str, keys: Iterable[str], now: int | None = None) -> None:
        """Notes that products were seen as gone by a source that was not throttled meanwhile."""
        now = self.now() if now is None else now
        with self._writing():
            self._db.executemany(
                # A clock that was ahead for a while must not put off what it saw.
                "UPDATE items SET gone_first = min(coalesce(gone_first, ?1), ?1), gone_last = ?1"
                f" WHERE {_IS} AND {_GONE}",
                ((now, subset, 0, key) for key in keys),
            )

    def confirm_gone(self, subset: str) -> None:
        """Takes the source at its word for all products that are gone now."""
        with self._writing():
            self._db.execute(
                f"UPDATE {_NOT_DONE} SET gone_confirmed = 1"
                f" WHERE subset = ? AND is_asset = 0 AND {_GONE}",
                (subset,),
            )

    def set_aside(self, subset: str, keys: Iterable[str]) -> None:
        """Puts products that the annotations no longer name where none of them counts."""
        self._move(subset, subset + _ASIDE, keys)

    def recall(self, subset: str, names: Container[str]) -> list[str]:
        """Brings products back that were set aside and are named again; returns their keys."""
        query = "SELECT key FROM items WHERE subset = ? AND is_asset = 0"
        keys = [key for (key,) in self._rows(query, (subset + _ASIDE,)) if key in names]
        self._move(subset + _ASIDE, subset, keys)
        return keys

    def _move(self, subset: str, to: str, keys: Iterable[str]) -> None:
        rest = schema.COLUMNS.partition(", ")[2]
        remove = f"DELETE FROM items WHERE {_IS}"
        with self._writing():
            for key in keys:
                self._db.execute(remove, (to, 0, key))
                self._db.execute(
                    f"INSERT INTO items ({schema.COLUMNS}) SELECT ?, {rest} FROM items WHERE {_IS}",
                    (to, subset, 0, key),
                )
                self._db.execute(remove, (subset, 0, key))

    def items(
        self, subset: str, *, is_asset: bool = False, state: State | None = None
    ) -> dict[str, Item]:
        """The items of a subset by key, all or those in one state."""
        where, table = "subset = ? AND is_asset = ?", "items"
        if state is not None:
            where += f" AND {_among(state)}"
            table = "items" if state is State.DONE else _NOT_DONE
        return self._items(where, (subset, int(is_asset)), table)

    def not_done(self, subset: str) -> dict[str, Item]:
        """The products of a subset that are not done, by key."""
        where = "subset = ? AND is_asset = 0 AND reason != 'ok'"
        return self._items(where, (subset,), _NOT_DONE)

    def known(self, subset: str) -> dict[str, Item]:
        """The products of a subset by key; of those that are done, only reason and bytes.

        That is what a plan needs, and a million items are read in seconds instead of minutes.
        """
        rows = self._rows(
            "SELECT key, bytes FROM items WHERE subset = ? AND is_asset = 0 AND reason = 'ok'",
            (subset,),
        )
        done = {
            key: Item(subset, key, False, Reason.OK, "", "", size, None, {}, 0, 0, 0, 1)
            for key, size in rows
        }
        return done | self.not_done(subset)

    def done_after(
        self, subset: str, key: str, limit: int, *, is_asset: bool = False
    ) -> dict[str, Item]:
        """At most `limit` items that are done, in the order of the keys, beginning after one."""
        where = "subset = ? AND is_asset = ? AND key > ? AND reason = 'ok' ORDER BY key LIMIT ?"
        return self._items(where, (subset, int(is_asset), key, limit))

    def examples(self, subset: str, reason: Reason, limit: int) -> list[Item]:
        """A few products that are not done for a reason."""
        where = "subset = ? AND is_asset = 0 AND reason = ? AND reason != 'ok' LIMIT ?"
        return list(self._items(where, (subset, reason, limit), _NOT_DONE).values())

    def find(self, key: str) -> list[Item]:
        """Every item with this key, in all subsets."""
        found: list[Item] = []
        for (subset,) in self._rows("SELECT DISTINCT subset FROM counts"):
            if subset.endswith(_ASIDE):
                continue
            for is_asset in (0, 1):
                found += self._items(_IS, (subset, is_asset, key)).values()
        return found

    def like(self, part: str, limit: int = 10) -> list[tuple[str, str]]:
        """A few (subset, key) whose key holds `part`."""
        query = "SELECT DISTINCT subset, key FROM items WHERE instr(key, ?) LIMIT ?"
        rows = self._rows(query, (part, limit))
        return [(subset, key) for subset, key in rows if not subset.endswith(_ASIDE)]

    def past(self, item: Item) -> list[Past]:
        """What was known of an item before its present reason, oldest first."""
        rows = self._rows(
            f"SELECT reason, since, until, detail FROM past WHERE {_IS} ORDER BY until, rowid",
            (item.subset, int(item.is_asset), item.key),
        )
        with self._making_sense():
            return [Past(Reason.of(reason), *rest) for reason, *rest in rows]

    def counts(self, subset: str, *, is_asset: bool = False) -> dict[Reason, int]:
        """How many items there are by reason."""
        rows = self._rows(
            "SELECT reason, number FROM counts WHERE subset = ? AND is_asset = ? AND number > 0",
            (subset, int(is_asset)),
        )
        with self._making_sense():
            return {Reason.of(reason): count for reason, count in rows}

    def done_bytes(self, subset: str) -> tuple[int, int]:
        """Number and bytes of the products that are done."""
        rows = self._rows(
            "SELECT number, bytes FROM counts WHERE subset = ? AND is_asset = 0 AND reason = 'ok'",
            (subset,),
        )
        return rows[0] if rows else (0, 0)

    def facts(self, subset: str) -> SubsetFacts:
        """What is known of the whole subset; empty where nothing is."""
        rows = self._rows("SELECT facts FROM subsets WHERE subset = ?", (subset,))
        with self._making_sense():
            given = json.loads(rows[0][0]) if rows else {}
            # A newer saco-data may have noted more.
            return SubsetFacts(**{name: given[name] for name in _FACTS & given.keys()})

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
                "INSERT INTO runs (command, started) VALUES (?, ?)", (command, self.now())
            )
        self.commit()
        return int(cursor.lastrowid or 0)

    def end_run(self, run: int, exit_code: int, changes: dict[str, Any]) -> None:
        """Notes how a run ended and what it changed."""
        with self._writing():
            self._db.execute(
                "UPDATE runs SET ended = ?, exit_code = ?, changes = ? WHERE id = ?",
                (self.now(), exit_code, json.dumps(changes), run),
            )
        self.commit()

    def runs(self) -> list[dict[str, Any]]:
        """All runs, oldest first; `ended` is None for one that was killed."""
        names = ("id", "command", "started", "ended", "exit_code", "changes")
        found = self._rows(f"SELECT {', '.join(names)} FROM runs ORDER BY id")
        rows = [dict(zip(names, row, strict=True)) for row in found]
        with self._making_sense():
            for row in rows:
                row["changes"] = json.loads(row["changes"]) if row["changes"] else {}
        return rows

    def _items(self, where: str, values: Sequence[Any], table: str = "items") -> dict[str, Item]:
        rows = self._rows(f"SELECT {schema.COLUMNS} FROM {table} WHERE {where}", values)
        with self._making_sense():
            return {row[2]: self._item(row) for row in rows}

    def _item(self, row: Sequence[Any]) -> Item:
        subset, is_asset, key, reason, size, digest, first, last, since, attempts = row[:10]
        gone_first, gone_last, confirmed, detail, head, origin, shared, facts = row[10:]
        return Item(
            subset,
            key,
            bool(is_asset),
            Reason.of(reason),
            detail,
            self._texts.origin(key, head, origin),
            size,
            digest.hex() if digest else None,
            self._texts.facts(shared, facts),
            first,
            last,
            since,
            attempts,
            gone_first,
            gone_last,
            bool(confirmed),
        )

    def _columns(self, item: Item) -> tuple[Any, ...]:
        return (
            item.subset,
            int(item.is_asset),
            item.key,
            item.reason,
            item.bytes,
            bytes.fromhex(item.sha256) if item.sha256 else None,
            item.first_seen,
            item.last_seen,
            item.since,
            item.attempts,
            item.gone_first,
            item.gone_last,
            int(item.gone_confirmed),
            item.detail,
            *self._texts.packed(item.key, item.origin, item.facts),
        )


def _same_file(old: Item, new: Outcome) -> bool:
    """Whether what was known still holds: of the same bytes, or of a file that is not there now."""
    return new.state is not State.DONE or (new.sha256 is not None and new.sha256 == old.sha256)


def _says_nothing(reason: Reason) -> bool:
    return reason.state not in (State.DONE, State.GONE) and not reason.has(Effect.EXISTS)


def _among(state: State) -> str:
    """Being in a state, as SQL."""
    reasons = ", ".join(repr(reason.value) for reason in Reason if reason.state is state)
    # The index of what is not done can only be used where that is said in these very words.
    return f"reason IN ({reasons})" + ("" if state is State.DONE else " AND reason != 'ok'")


_GONE = _among(State.GONE)
# Left to itself, SQLite reads a million finished items to find those that are not.
_NOT_DONE = "items INDEXED BY not_done"
# Follows the subset of what was set aside.
_ASIDE = " (set aside)"
_FACTS = {each.name for each in fields(SubsetFacts)}
_IS = "subset = ? AND is_asset = ? AND key = ?"
_SELECT = f"SELECT {schema.COLUMNS} FROM items"
_UPDATE = (
    f"UPDATE items SET {', '.join(f'{name} = ?' for name in schema.COLUMNS.split(', ')[3:])}"
    f" WHERE {_IS}"
)
