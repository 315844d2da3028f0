"""Everything that can be asked of a ledger."""

# ruff: noqa: S608 - queries consist of constants of ours, values are always bound
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from saco_data.model.items import Item, Past, SubsetFacts
from saco_data.model.reasons import Reason, State
from saco_data.model.snapshot import Snapshot
from saco_data.state.database import Database
from saco_data.state.rows import COLUMNS, IS_ITEM, NOT_DONE, has_state, item_from_row

_FACTS = {each.name for each in fields(SubsetFacts)}


class LedgerReader(Database):
    """The reading half of `Ledger`. Archived products appear in no answer.

    Every method raises LedgerDamaged for an unreadable file and OutputError for one in use.
    """

    def snapshot(self, subset: str, *, products: bool = False, assets: bool = False) -> Snapshot:
        """The state of a subset, read in one transaction.

        `products` adds what `known` returns, `assets` all raw assets; both take time and memory
        in proportion to their number, the rest does not.
        """
        with self.reading():
            return Snapshot(
                subset=subset,
                facts=self.facts(subset),
                counts=self.counts(subset),
                asset_counts=self.counts(subset, is_asset=True),
                done_bytes=self.done_bytes(subset)[1],
                gone=self.items(subset, state=State.GONE),
                products=self.known(subset) if products else None,
                assets=self.items(subset, is_asset=True) if assets else None,
            )

    def items(
        self, subset: str, *, is_asset: bool = False, state: State | None = None
    ) -> dict[str, Item]:
        """The products, or the raw assets, of a subset by key; `state` limits them to one state."""
        where, table = "subset = ? AND is_asset = ?", "items"
        if state is not None:
            where += f" AND {has_state(state)}"
            table = "items" if state is State.DONE else NOT_DONE
        return self._items(where, (subset, int(is_asset)), table)

    def not_done(self, subset: str) -> dict[str, Item]:
        """The products of a subset that are not done, by key."""
        where = "subset = ? AND is_asset = 0 AND reason != 'ok'"
        return self._items(where, (subset,), NOT_DONE)

    def known(self, subset: str) -> dict[str, Item]:
        """The products of a subset by key; done ones with only their reason and bytes.

        A plan needs no more, and reading a million items takes seconds instead of minutes.
        """
        rows = self._fetch(
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
        """At most `limit` done items whose keys follow `key`, in the order of their keys."""
        where = "subset = ? AND is_asset = ? AND key > ? AND reason = 'ok' ORDER BY key LIMIT ?"
        return self._items(where, (subset, int(is_asset), key, limit))

    def examples(self, subset: str, reason: Reason, limit: int) -> list[Item]:
        """At most `limit` products that are not done for this reason."""
        where = "subset = ? AND is_asset = 0 AND reason = ? AND reason != 'ok' LIMIT ?"
        return list(self._items(where, (subset, reason, limit), NOT_DONE).values())

    def find(self, key: str) -> list[Item]:
        """Every product and raw asset with exactly this key, in all subsets."""
        found: list[Item] = []
        for (subset,) in self._fetch("SELECT DISTINCT subset FROM counts"):
            for is_asset in (0, 1):
                found += self._items(IS_ITEM, (subset, is_asset, key)).values()
        return found

    def search(self, part: str, limit: int = 10) -> list[tuple[str, str]]:
        """At most `limit` pairs (subset, key) whose key contains `part`."""
        query = "SELECT DISTINCT subset, key FROM items WHERE instr(key, ?) LIMIT ?"
        return [(subset, key) for subset, key in self._fetch(query, (part, limit))]

    def past(self, item: Item) -> list[Past]:
        """The earlier reasons of an item, oldest first."""
        rows = self._fetch(
            f"SELECT reason, since, until, detail FROM past WHERE {IS_ITEM} ORDER BY until, rowid",
            (item.subset, int(item.is_asset), item.key),
        )
        with self._checking_content():
            return [Past(Reason.of(reason), *rest) for reason, *rest in rows]

    def counts(self, subset: str, *, is_asset: bool = False) -> dict[Reason, int]:
        """The number of products, or of raw assets, by reason."""
        rows = self._fetch(
            "SELECT reason, number FROM counts WHERE subset = ? AND is_asset = ? AND number > 0",
            (subset, int(is_asset)),
        )
        with self._checking_content():
            return {Reason.of(reason): count for reason, count in rows}

    def done_bytes(self, subset: str) -> tuple[int, int]:
        """Number and total bytes of the products that are done."""
        rows = self._fetch(
            "SELECT number, bytes FROM counts WHERE subset = ? AND is_asset = 0 AND reason = 'ok'",
            (subset,),
        )
        return rows[0] if rows else (0, 0)

    def facts(self, subset: str) -> SubsetFacts:
        """The facts about a whole subset; empty ones for an unknown subset."""
        rows = self._fetch("SELECT facts FROM subsets WHERE subset = ?", (subset,))
        with self._checking_content():
            given = json.loads(rows[0][0]) if rows else {}
            # A newer saco-data may have stored further facts.
            return SubsetFacts(**{name: given[name] for name in _FACTS & given.keys()})

    def runs(self) -> list[dict[str, Any]]:
        """All runs, oldest first; `ended` is None for one that was killed or still runs."""
        names = ("id", "command", "started", "ended", "exit_code", "changes")
        found = self._fetch(f"SELECT {', '.join(names)} FROM runs ORDER BY id")
        rows = [dict(zip(names, row, strict=True)) for row in found]
        with self._checking_content():
            for row in rows:
                row["changes"] = json.loads(row["changes"]) if row["changes"] else {}
        return rows

    def _items(self, where: str, values: Sequence[Any], table: str = "items") -> dict[str, Item]:
        rows = self._fetch(f"SELECT {COLUMNS} FROM {table} WHERE {where}", values)
        with self._checking_content():
            return {row[2]: item_from_row(row, self._texts) for row in rows}
