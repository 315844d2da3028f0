"""How the ledger keeps text small.

Half of what would fill its file says the same for thousands of items: the beginning of a URL, a
licence, the version of a decoder. Such text is kept once, in `texts`, and items point to it.
"""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any

# Facts that many items have in common; any other fact is kept with its item.
_SHARED = {
    "place",
    "content_type",
    "av",
    "libavformat",
    "libavcodec",
    "libswscale",
    "way",
    "size",
    "video",
    "format_id",
    "uploader",
}
_HEAD = re.compile(r".*[/#?=]", re.DOTALL)
# Stands for the item's own name inside a text that is shared; no URL and no path holds it.
_NAME = "\x1f"
_NAME_LENGTH = 8  # characters; a shorter name may stand anywhere by chance
_LIMIT = 50_000  # shared texts; beyond, a text evidently is not shared


class Texts:
    """The shared texts of one ledger file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._texts: dict[int, str] = dict(db.execute("SELECT id, text FROM texts"))
        self._ids = {text: number for number, text in self._texts.items()}

    def packed(
        self, key: str, origin: str, facts: dict[str, Any]
    ) -> tuple[int | None, str, int | None, str | None]:
        """An item's origin and facts as the columns from `origin_head` to `facts`."""
        head, rest = None, origin
        if origin and _NAME not in origin:
            stem = _stem(key)
            short = origin.replace(stem, _NAME) if len(stem) >= _NAME_LENGTH else origin
            match = _HEAD.match(short)
            head = self._id(match[0]) if match else None
            rest = short[match.end() :] if match and head is not None else origin
        shared = {name: value for name, value in facts.items() if name in _SHARED}
        number = self._id(_dumps(shared)) if shared else None
        own = facts if number is None else {k: v for k, v in facts.items() if k not in shared}
        return head, rest, number, _dumps(own) if own else None

    def origin(self, key: str, head: int | None, rest: str) -> str:
        """The origin that was packed."""
        if head is None:
            return rest
        return f"{self._texts.get(head, '')}{rest}".replace(_NAME, _stem(key))

    def facts(self, shared: int | None, own: str | None) -> dict[str, Any]:
        """The facts that were packed."""
        common = json.loads(self._texts.get(shared, "{}")) if shared is not None else {}
        return {**common, **(json.loads(own) if own else {})}

    def _id(self, text: str) -> int | None:
        known = self._ids.get(text)
        if known is None and len(self._ids) < _LIMIT:
            known = self._db.execute("INSERT INTO texts (text) VALUES (?)", (text,)).lastrowid
            assert known is not None
            self._ids[text], self._texts[known] = known, text
        return known


def _stem(key: str) -> str:
    return key.rpartition("/")[2].rpartition(".")[0] or key


def _dumps(facts: dict[str, Any]) -> str:
    return json.dumps(facts, separators=(",", ":"), ensure_ascii=False)
