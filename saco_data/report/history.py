"""What the ledger knows about one item, for `saco history`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from saco_data.catalog.licences import licence_of
from saco_data.config.settings import Settings
from saco_data.model.errors import UsageError
from saco_data.model.items import Item, Past
from saco_data.model.outside import one_line, without_secrets
from saco_data.model.reasons import Reason
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
        item, past = _without_secrets(self.item, self.past)
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
                for each in past
            ],
        }

    def in_words(self) -> str:
        """The history as lines for people."""
        item, earlier = _without_secrets(self.item, self.past)
        facts = {
            "from": item.origin,
            "bytes": item.bytes,
            "sha256": item.sha256,
            "licence": self.licence,
            **item.facts,
        }
        lines = [
            *(
                f"{when(past.since)} to {when(past.until)}  {_say(past.reason, past.detail)}"
                for past in earlier
            ),
            f"{when(item.since)} to {when(item.last_seen)}  "
            f"{_say(item.reason, item.detail)}  (now)",
            *(f"{name}: {value}" for name, value in facts.items() if value not in (None, "")),
            f"first seen {when(item.first_seen)} (all times are UTC), attempts {item.attempts}",
        ]
        head = one_line(f"{item.subset} {item.key} ({'raw' if item.is_asset else 'product'})")
        # Line by line: a name with a line break must not look like two lines.
        return "\n".join([head, *(f"  {one_line(line)}" for line in lines)])


def _say(reason: Reason, detail: str) -> str:
    return f"{reason}: {detail}" if detail else reason


def _without_secrets(item: Item, past: list[Past]) -> tuple[Item, list[Past]]:
    """The records as they may be shown: earlier versions kept more of an address."""
    facts = {
        name: without_secrets(value) if isinstance(value, str) else value
        for name, value in item.facts.items()
    }
    detail, origin = without_secrets(item.detail), without_secrets(item.origin)
    return replace(item, detail=detail, origin=origin, facts=facts), [
        replace(each, detail=without_secrets(each.detail)) for each in past
    ]


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
