"""Every file of a page as a row: compressed JSON that the page's script unpacks and filters."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saco_data.dataset.pairs import Pairs, plain
from saco_data.model.items import Item
from saco_data.model.reasons import Reason

_REASONS = tuple(Reason)


@dataclass
class Rows:
    """All rows in columns: names repeat, and columns of one kind compress best.

    Phrases and the sources' words are kept once and named by number. `positive` and `negative` are
    the phrases of a file with and without masks.
    """

    subset: list[str] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    reason: list[int] = field(default_factory=list)
    detail: list[int] = field(default_factory=list)
    bytes: list[int | None] = field(default_factory=list)
    positive: list[list[int]] = field(default_factory=list)
    negative: list[list[int]] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=dict)

    def add(self, subset: str, pairs: Pairs | None, items: Mapping[str, Item]) -> None:
        """Adds the files of a subset: those of its annotations, else those of the ledger."""
        files = pairs.by_file() if pairs else {name: [] for name in items}
        for name, members in files.items():
            item = items.get(name)
            self.subset.append(subset)
            self.name.append(plain(name))
            self.reason.append(_REASONS.index(item.reason if item else Reason.NOT_TRIED))
            self.detail.append(self._text(item.detail if item else ""))
            self.bytes.append(item.bytes if item else None)
            with_masks = [pair for pair in members if pairs and pairs.of(pair)]
            without = [pair for pair in members if not (pairs and pairs.of(pair))]
            self.positive.append(self._texts(pair.text_input for pair in with_masks))
            self.negative.append(self._texts(pair.text_input for pair in without))

    def _texts(self, texts: Iterable[str]) -> list[int]:
        return list(dict.fromkeys(map(self._text, texts)))

    def _text(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    def packed(self, limit: int) -> tuple[str, str]:
        """The rows as base64 of gzipped JSON of at most `limit` bytes, and what had to be left out.

        Negative phrases are given up first, then files from the end, finished ones before others.
        """
        order = list(range(len(self.name)))
        text = self._packed(order, negatives=True)
        if len(text) <= limit:
            return text, ""
        text, lacks = self._packed(order, negatives=False), "negative phrases"
        if len(text) > limit:
            order.sort(key=lambda at: _REASONS[self.reason[at]] is Reason.OK)
        while len(text) > limit and order:
            # The last tenth at least, so that it comes to an end.
            kept = min(int(len(order) * limit / len(text)), len(order) * 9 // 10)
            del order[kept:]
            lacks = f"negative phrases and {len(self.name) - kept:,} files"
            text = self._packed(order, negatives=False)
        return text, f"To keep the page small, the rows below lack {lacks}."

    def _packed(self, order: list[int], *, negatives: bool) -> str:
        subsets = list(dict.fromkeys(self.subset))
        index = {name: at for at, name in enumerate(subsets)}
        texts = list(self.texts)
        kept: dict[int, int] = {}

        def renumbered(numbers: Iterable[int]) -> list[int]:
            """Only texts that are still named are carried along."""
            return [kept.setdefault(number, len(kept)) for number in numbers]

        content: dict[str, Any] = {
            "subsets": subsets,
            "reasons": [(reason.value, reason.state.value) for reason in _REASONS],
            "subset": [index[self.subset[at]] for at in order],
            "name": [self.name[at] for at in order],
            "reason": [self.reason[at] for at in order],
            "detail": renumbered(self.detail[at] for at in order),
            "bytes": [self.bytes[at] for at in order],
            "positive": [renumbered(self.positive[at]) for at in order],
            "negative": [renumbered(self.negative[at]) if negatives else [] for at in order],
            "negatives": [len(self.negative[at]) for at in order],
            "texts": [plain(texts[number]) for number in kept],
        }
        plain_json = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        # mtime: the same rows are the same bytes.
        packed = gzip.compress(plain_json.encode("utf-8", "replace"), 6, mtime=0)
        return base64.b64encode(packed).decode()
