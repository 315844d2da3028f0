"""Storing repeated text only once, which halves the size of a ledger.

Thousands of items share the beginning of a URL, a licence or the version of a decoder. The table
`texts` holds such text once, and items refer to it by number.
"""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any

import msgspec

# Facts with few different values; the others are stored with their item.
_SHARED_FACTS = {
    "place",
    "content_type",
    "av",
    "libavformat",
    "libavcodec",
    "libswscale",
    "way",
    "transfer",
    "size",
    "video",
    "format_id",
    "uploader",
}
_HEAD = re.compile(r".*[/#?=]", re.DOTALL)
# Placeholder for the item's own file name in a shared text; URLs and paths never contain it.
_STEM = "\x1f"
_MIN_STEM_LENGTH = 8  # characters; a shorter name occurs in other words by chance
_MAX_TEXTS = 50_000  # so many different texts are not shared ones: the rest stays with its item


class Texts:
    """The table `texts` of an open ledger."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._texts: dict[int, str] = dict(db.execute("SELECT id, text FROM texts"))
        self._ids = {text: number for number, text in self._texts.items()}

    def split(
        self, key: str, origin: str, facts: dict[str, Any]
    ) -> tuple[int | None, str, int | None, str | None]:
        """Values of the columns `origin_head`, `origin`, `facts_shared` and `facts`."""
        head, tail = None, origin
        if origin and _STEM not in origin:
            stem = _stem_of(key)
            short = origin.replace(stem, _STEM) if len(stem) >= _MIN_STEM_LENGTH else origin
            match = _HEAD.match(short)
            head = self._id_of(match[0]) if match else None
            tail = short[match.end() :] if match and head is not None else origin
        shared = {name: value for name, value in facts.items() if name in _SHARED_FACTS}
        number = self._id_of(_to_json(shared)) if shared else None
        own = facts if number is None else {k: v for k, v in facts.items() if k not in shared}
        return head, tail, number, _to_json(own) if own else None

    def join_origin(self, key: str, head: int | None, tail: str) -> str:
        """The origin that `split` took apart."""
        if head is None:
            return tail
        return f"{self._texts.get(head, '')}{tail}".replace(_STEM, _stem_of(key))

    def join_facts(self, shared: int | None, own: str | None) -> dict[str, Any]:
        """The facts that `split` took apart."""
        common = json.loads(self._texts.get(shared, "{}")) if shared is not None else {}
        return {**common, **(json.loads(own) if own else {})}

    def _id_of(self, text: str) -> int | None:
        """The number of a text, which is added if there is room; None if there is none."""
        known = self._ids.get(text)
        if known is None and len(self._ids) < _MAX_TEXTS:
            known = self._db.execute("INSERT INTO texts (text) VALUES (?)", (text,)).lastrowid
            assert known is not None
            self._ids[text], self._texts[known] = known, text
        return known


def _stem_of(key: str) -> str:
    return key.rpartition("/")[2].rpartition(".")[0] or key


def _to_json(facts: dict[str, Any]) -> str:
    return msgspec.json.encode(facts).decode()
