"""The ledger: the state of every item and the reason for it, in one SQLite file with one writer.

A damaged file is quarantined and a new one started with everything that can still be read from it:
the product files and the annotations suffice to rebuild the rest.
"""

# ruff: noqa: S608 - queries consist of constants of ours, values are always bound
from __future__ import annotations

import json
from collections.abc import Container, Iterable
from dataclasses import replace
from typing import Any

from saco_data.model.items import Change, Item, Past, SubsetFacts
from saco_data.model.outside import without_secrets
from saco_data.model.reasons import Effect, Reason, State
from saco_data.model.records import Outcome
from saco_data.state.database import FILE_NAME, LedgerDamaged
from saco_data.state.reading import LedgerReader
from saco_data.state.rows import (
    COLUMNS,
    INSERT,
    IS_ITEM,
    NOT_DONE,
    SELECT,
    UPDATE,
    has_state,
    item_from_row,
    row_from_item,
)

__all__ = ["FILE_NAME", "Change", "Item", "Ledger", "LedgerDamaged", "Past", "SubsetFacts"]

MAX_DETAIL_LENGTH = 1000


class Ledger(LedgerReader):
    """An open ledger, to read and to write. See `Database` for its arguments and errors.

    Writes are durable after `commit` (or `begin_run`, `end_run`, or leaving the context).
    """

    def record(self, outcomes: Iterable[Outcome], now: int | None = None) -> list[Change]:
        """Stores outcomes; returns the change that each made to its item.

        Outcomes with `tried` count as an attempt. A gone item stays gone after a failure that
        says nothing about its existence. `now`: seconds since the epoch.
        """
        now = self.now() if now is None else now
        with self._writing():
            return [self._record(outcome, now) for outcome in outcomes]

    def _record(self, new: Outcome, now: int) -> Change:
        where = (new.subset, int(new.is_asset), new.key)
        row = self._db.execute(f"{SELECT} WHERE {IS_ITEM}", where).fetchone()
        if row is None:
            self._db.execute(INSERT, row_from_item(_new_item(new, now), self._texts))
            return Change(new.key, new.is_asset, None, new.reason, made=False)
        with self._checking_content():
            old = item_from_row(row, self._texts)
        renewed = (
            old.state is new.state is State.DONE
            and None not in (old.sha256, new.sha256)
            and old.sha256 != new.sha256
        )
        made = old.sha256 is not None
        change = Change(new.key, new.is_asset, old.reason, new.reason, made, renewed)
        if old.state is State.GONE and not _says_whether_it_exists(new.reason):
            attempts = old.attempts + new.tried
            self._db.execute(f"UPDATE items SET attempts = ? WHERE {IS_ITEM}", (attempts, *where))
            return replace(change, after=old.reason)
        if old.reason is not new.reason and old.attempts:
            past = (*where, now, old.reason, old.since, old.detail)
            self._db.execute("INSERT INTO past VALUES (?, ?, ?, ?, ?, ?, ?)", past)
        item = _updated_item(old, new, now)
        self._db.execute(UPDATE, (*row_from_item(item, self._texts)[3:], *where))
        return change

    def witness(self, subset: str, keys: Iterable[str], now: int | None = None) -> None:
        """Stores that a source which was not throttled reported these products as gone."""
        now = self.now() if now is None else now
        with self._writing():
            self._db.executemany(
                # `min`: a clock that was ahead for a while must not delay the confirmation.
                "UPDATE items SET gone_first = min(coalesce(gone_first, ?1), ?1), gone_last = ?1"
                f" WHERE {IS_ITEM} AND {has_state(State.GONE)}",
                ((now, subset, 0, key) for key in keys),
            )

    def confirm_gone(self, subset: str) -> None:
        """Marks all gone products of a subset as confirmed, without a second look."""
        with self._writing():
            self._db.execute(
                f"UPDATE {NOT_DONE} SET gone_confirmed = 1"
                f" WHERE subset = ? AND is_asset = 0 AND {has_state(State.GONE)}",
                (subset,),
            )

    def archive_rows(self, subset: str, keys: Iterable[str]) -> None:
        """Moves products that the annotations no longer name to a table that no query reads."""
        with self._writing():
            for key in keys:
                self._move("items", "archived", subset, key)

    def restore_rows(self, subset: str, names: Container[str]) -> list[str]:
        """Brings archived products back that are named again; returns their keys."""
        query = "SELECT key FROM archived WHERE subset = ? AND is_asset = 0"
        keys = [key for (key,) in self._fetch(query, (subset,)) if key in names]
        with self._writing():
            for key in keys:
                self._move("archived", "items", subset, key)
        return keys

    def _move(self, source: str, target: str, subset: str, key: str) -> None:
        where = (subset, 0, key)
        self._db.execute(f"DELETE FROM {target} WHERE {IS_ITEM}", where)
        self._db.execute(
            f"INSERT INTO {target} ({COLUMNS}) SELECT {COLUMNS} FROM {source} WHERE {IS_ITEM}",
            where,
        )
        self._db.execute(f"DELETE FROM {source} WHERE {IS_ITEM}", where)

    def set_facts(self, subset: str, facts: SubsetFacts) -> None:
        """Replaces the facts about a whole subset."""
        with self._writing():
            self._db.execute(
                "INSERT OR REPLACE INTO subsets VALUES (?, ?)", (subset, json.dumps(vars(facts)))
            )

    def begin_run(self, command: str) -> int:
        """Stores the start of a run; returns its number."""
        with self._writing():
            cursor = self._db.execute(
                "INSERT INTO runs (command, started) VALUES (?, ?)", (command, self.now())
            )
        self.commit()
        return int(cursor.lastrowid or 0)

    def end_run(self, run: int, exit_code: int, changes: dict[str, Any]) -> None:
        """Stores how a run ended and what it changed."""
        with self._writing():
            self._db.execute(
                "UPDATE runs SET ended = ?, exit_code = ?, changes = ? WHERE id = ?",
                (self.now(), exit_code, json.dumps(changes), run),
            )
        self.commit()


def _new_item(new: Outcome, now: int) -> Item:
    return Item(
        subset=new.subset,
        key=new.key,
        is_asset=new.is_asset,
        reason=new.reason,
        detail=without_secrets(new.detail)[:MAX_DETAIL_LENGTH],
        origin=without_secrets(new.origin),
        bytes=new.bytes,
        sha256=new.sha256,
        facts=_safe_facts(new.facts),
        first_seen=now,
        last_seen=now,
        since=now,
        attempts=int(new.tried),
    )


def _updated_item(old: Item, new: Outcome, now: int) -> Item:
    still_gone = new.state is State.GONE and old.state is State.GONE
    return replace(
        old,
        reason=new.reason,
        detail=without_secrets(new.detail)[:MAX_DETAIL_LENGTH],
        origin=without_secrets(new.origin) or old.origin,
        bytes=old.bytes if new.bytes is None else new.bytes,
        sha256=new.sha256 or old.sha256,
        facts={**(old.facts if _keeps_facts(old, new) else {}), **_safe_facts(new.facts)},
        last_seen=now,
        since=old.since if old.reason is new.reason else now,
        attempts=old.attempts + new.tried,
        gone_first=old.gone_first if still_gone else None,
        gone_last=old.gone_last if still_gone else None,
        gone_confirmed=old.gone_confirmed and still_gone,
    )


def _safe_facts(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: without_secrets(value) if isinstance(value, str) else value
        for name, value in facts.items()
    }


def _keeps_facts(old: Item, new: Outcome) -> bool:
    """Whether the known facts still hold: the content is the same, or there is no new file."""
    return new.state is not State.DONE or (new.sha256 is not None and new.sha256 == old.sha256)


def _says_whether_it_exists(reason: Reason) -> bool:
    return reason.state in (State.DONE, State.GONE) or reason.has(Effect.EXISTS)
