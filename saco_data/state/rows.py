"""Items as rows of the table `items`, and the SQL that reading and writing share."""

# ruff: noqa: S608 - queries consist of constants of ours, values are always bound
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saco_data.model.items import Item
from saco_data.model.reasons import Reason, State
from saco_data.state.interning import Texts

COLUMNS = (
    "subset, is_asset, key, reason, bytes, sha256, first_seen, last_seen, since, attempts,"
    " gone_first, gone_last, gone_confirmed, detail, origin_head, origin, facts_shared, facts"
)
IS_ITEM = "subset = ? AND is_asset = ? AND key = ?"
SELECT = f"SELECT {COLUMNS} FROM items"
INSERT = f"INSERT INTO items ({COLUMNS}) VALUES ({', '.join('?' * 18)})"
# Everything but the key columns.
UPDATE = (
    f"UPDATE items SET {', '.join(f'{name} = ?' for name in COLUMNS.split(', ')[3:])}"
    f" WHERE {IS_ITEM}"
)
# By itself SQLite would scan a million finished items to find the few that are not done.
NOT_DONE = "items INDEXED BY not_done"


def has_state(state: State) -> str:
    """The SQL condition that is true for items in a state."""
    reasons = ", ".join(repr(reason.value) for reason in Reason if reason.state is state)
    # SQLite uses the partial index `not_done` only for a query that repeats its condition.
    return f"reason IN ({reasons})" + ("" if state is State.DONE else " AND reason != 'ok'")


def item_from_row(row: Sequence[Any], texts: Texts) -> Item:
    """The item of a row with the columns `COLUMNS`. Raises ValueError for a damaged row."""
    subset, is_asset, key, reason, size, digest, first, last, since, attempts = row[:10]
    gone_first, gone_last, confirmed, detail, head, origin, shared, facts = row[10:]
    return Item(
        subset=subset,
        key=key,
        is_asset=bool(is_asset),
        reason=Reason.of(reason),
        detail=detail,
        origin=texts.join_origin(key, head, origin),
        bytes=size,
        sha256=digest.hex() if digest else None,
        facts=texts.join_facts(shared, facts),
        first_seen=first,
        last_seen=last,
        since=since,
        attempts=attempts,
        gone_first=gone_first,
        gone_last=gone_last,
        gone_confirmed=bool(confirmed),
    )


def row_from_item(item: Item, texts: Texts) -> tuple[Any, ...]:
    """The values of an item for the columns `COLUMNS`; adds its shared texts to the ledger."""
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
        *texts.split(item.key, item.origin, item.facts),
    )
