"""What the ledger knows about one item, for `saco history`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from saco_data.catalog.licences import licence_of
from saco_data.config.settings import Settings
from saco_data.model.errors import UsageError
from saco_data.model.items import Item, Past
from saco_data.model.words import when
from saco_data.state.ledger import Ledger


@dataclass(frozen=True)
class History:
    """One item, its earlier records (`past`, oldest first) and its licence."""

    item: Item
    past: list[Past]
    licence: str

    def as_json(self) -> dict[str, Any]:
        """Plain data; times in seconds since the epoch."""
        item = self.item
        names = ("subset", "key", "reason", "detail", "origin", "bytes", "sha256", "facts")
        times = ("first_seen", "last_seen", "since", "attempts", "gone_first", "gone_last")
        return {
            **{name: getattr(item, name) for name in names},
            "kind": "asset" if item.is_asset else "product",
            "state": item.state,
            **{name: getattr(item, name) for name in times},
            "licence": self.licence,
            "past": [
                {
                    "reason": each.reason,
                    "since": each.since,
                    "until": each.until,
                    "detail": each.detail,
                }
                for each in self.past
            ],
        }

    def in_words(self) -> str:
        """The history as lines for people."""
        item = self.item
        times = f"first seen {when(item.first_seen)} (all times are UTC), attempts {item.attempts}"
        lines = [f"{item.subset} {item.key} ({'raw' if item.is_asset else 'product'})"]
        for past in self.past:
            said = f": {past.detail}" if past.detail else ""
            lines.append(f"  {when(past.since)} to {when(past.until)}  {past.reason}{said}")
        said = f": {item.detail}" if item.detail else ""
        lines.append(f"  {when(item.since)} to {when(item.last_seen)}  {item.reason}{said}  (now)")
        facts = {
            "from": item.origin,
            "bytes": item.bytes,
            "sha256": item.sha256,
            "licence": self.licence,
            **item.facts,
        }
        lines += [f"  {name}: {value}" for name, value in facts.items() if value not in (None, "")]
        return "\n".join([*lines, f"  {times}"])


def read(settings: Settings, name: str) -> list[History]:
    """The histories of all items with a name, or with the only similar one.

    Raises UsageError where there is none, or several are similar.
    """
    with Ledger(settings.state, read_only=True) as ledger:
        found = ledger.find(name)
        if not found:
            similar = ledger.search(name)
            if len(similar) == 1:
                found = ledger.find(similar[0][1])
            elif similar:
                names = ", ".join(f"{key} ({subset})" for subset, key in similar)
                raise UsageError(
                    "several names are similar", item=name, remedy=f"Name one of: {names}"
                )
        if not found:
            raise UsageError(
                "is not in the ledger",
                item=name,
                remedy="Give a file_name of the annotations or a video, after `saco prepare`",
            )
        return [History(item, ledger.past(item), _licence(settings, item)) for item in found]


def _licence(settings: Settings, item: Item) -> str:
    return licence_of(item.facts, settings.subset(item.subset).manifest.licence)
