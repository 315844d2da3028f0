"""The table of all files in a page: compressed JSON that the page's script unpacks and filters."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from saco_data.dataset.pairs import Pairs, plain
from saco_data.model.items import Item
from saco_data.model.outside import without_secrets
from saco_data.model.reasons import Reason
from saco_data.report.packing import Piece, compress, dump, join

_REASONS = tuple(Reason)
# A click must not fetch 70 GB.
_ARCHIVES = (".tar", ".gz", ".tgz", ".zip")
ADDRESSES = "addresses at the sources"


@dataclass
class FileTable:
    """The rows, stored by column, which compresses best.

    Phrases and the sources' messages are stored once, in `texts`; columns hold their numbers.
    `positive` and `negative`: the phrases of each file with and without masks. `since`: when its
    state began, seconds since the epoch. `origin`: the address at its source, "" where it has none.
    `there`: whether the other copy has it, None without one. `folders`: where the files of each
    subset are, as addresses relative to the page.
    """

    subset: list[str] = field(default_factory=list)
    name: list[str] = field(default_factory=list)
    reason: list[int] = field(default_factory=list)
    detail: list[int] = field(default_factory=list)
    bytes: list[int | None] = field(default_factory=list)
    positive: list[list[int]] = field(default_factory=list)
    negative: list[list[int]] = field(default_factory=list)
    texts: dict[str, int] = field(default_factory=dict)
    since: list[int | None] = field(default_factory=list)
    origin: list[str] = field(default_factory=list)
    there: list[bool | None] = field(default_factory=list)
    folders: dict[str, str] = field(default_factory=dict)

    def add(
        self,
        subset: str,
        pairs: Pairs | None,
        items: Mapping[str, Item],
        other: Container[str] | None = None,
    ) -> None:
        """Adds the files of a subset: those of its annotations, else those of the ledger.

        `other`: the names that another copy has.
        """
        files = pairs.by_file() if pairs else {name: [] for name in items}
        for name, members in files.items():
            item = items.get(name)
            self.subset.append(subset)
            self.name.append(plain(name))
            self.reason.append(_REASONS.index(item.reason if item else Reason.NOT_TRIED))
            self.detail.append(self._number_of(without_secrets(item.detail) if item else ""))
            self.bytes.append(item.bytes if item else None)
            self.since.append(item.since if item else None)
            self.origin.append(_address(item))
            self.there.append(None if other is None else name in other)
            with_masks = [pair for pair in members if pairs and pairs.of(pair)]
            without = [pair for pair in members if not (pairs and pairs.of(pair))]
            self.positive.append(self._numbers_of(pair.phrase for pair in with_masks))
            self.negative.append(self._numbers_of(pair.phrase for pair in without))

    def _numbers_of(self, texts: Iterable[str]) -> list[int]:
        return list(dict.fromkeys(map(self._number_of, texts)))

    def _number_of(self, text: str) -> int:
        return self.texts.setdefault(text, len(self.texts))

    def pack(self, limit: int) -> tuple[str, str]:
        """The rows as base64 of gzipped JSON of at most `limit` bytes, and what was left out.

        Addresses are left out first, then negative phrases, then files from the end, finished
        ones before others.
        """
        order = list(range(len(self.name)))
        packed = self._pack(order)
        for addresses, negatives, left_out in (
            (True, True, ""),
            (False, True, ADDRESSES),
            (False, False, f"{ADDRESSES} and negative phrases"),
        ):
            text = packed.join(addresses=addresses, negatives=negatives)
            if len(text) <= limit:
                return text, _tell(left_out)
        order.sort(key=lambda at: _REASONS[self.reason[at]] is Reason.OK)
        while len(text) > limit and order:
            # A tenth at least, so that the loop ends.
            kept = min(int(len(order) * limit / len(text)), len(order) * 9 // 10)
            del order[kept:]
            text = self._pack(order, bare=True).join(addresses=False, negatives=False)
        lost = len(self.name) - len(order)
        return text, _tell(f"{ADDRESSES}, negative phrases and {lost:,} files")

    def _pack(self, order: list[int], *, bare: bool = False) -> _Packed:
        """The rows in this order. `bare`: without addresses and negative phrases in any case."""
        subsets = list(dict.fromkeys(self.subset))
        index = {name: at for at, name in enumerate(subsets)}
        texts = list(self.texts)
        kept: dict[int, int] = {}

        def renumber(numbers: Iterable[int]) -> list[int]:
            """New numbers, without gaps where texts were left out."""
            return [kept.setdefault(number, len(kept)) for number in numbers]

        def spell(numbers: Iterable[int]) -> str:
            """JSON of texts without the brackets of the list."""
            return dump([plain(texts[number]) for number in numbers])[1:-1]

        content: dict[str, Any] = {
            "subsets": subsets,
            "reasons": [(reason.value, reason.state.value) for reason in _REASONS],
            "subset": [index[self.subset[at]] for at in order],
            "name": [self.name[at] for at in order],
            "reason": [self.reason[at] for at in order],
            "detail": renumber(self.detail[at] for at in order),
            "bytes": [self.bytes[at] for at in order],
            "since": [self.since[at] for at in order],
            "there": [self.there[at] for at in order],
            "folders": [self.folders.get(name, "") for name in subsets],
            "positive": [renumber(self.positive[at]) for at in order],
            "negatives": [len(self.negative[at]) for at in order],
        }
        head = compress(f'{dump(content)[:-1]},"texts":[{spell(kept)}')
        if bare:
            return _Packed(len(order), head)
        # Numbered last: the others keep their numbers where these are left out.
        count = len(kept)
        negative = [renumber(self.negative[at]) for at in order]
        more = spell(list(kept)[count:])
        return _Packed(
            len(order),
            head,
            compress(("," if count and more else "") + more),
            compress(dump(negative)),
            compress(dump([self.origin[at] for at in order])),
        )


_NOTHING = compress("")


@dataclass(frozen=True, slots=True)
class _Packed:
    """Rows, compressed in parts. `head`: all but what may be left out, up to its last text.

    `more`: the texts of negative phrases only.
    """

    count: int
    head: Piece
    more: Piece = _NOTHING
    negative: Piece = _NOTHING
    addresses: Piece = _NOTHING

    def join(self, *, addresses: bool, negatives: bool) -> str:
        """The rows for the page, with empty addresses and negative phrases where not wanted."""
        parts = [self.head]
        if negatives:
            parts.append(self.more)
        parts += [compress('],"negative":')]
        parts.append(self.negative if negatives else compress(dump([[]] * self.count)))
        parts.append(compress(',"origin":'))
        parts.append(self.addresses if addresses else compress(dump([""] * self.count)))
        return join([*parts, compress("}")])


def _tell(left_out: str) -> str:
    return f"To keep the page small, the rows below lack {left_out}." if left_out else ""


def _address(item: Item | None) -> str:
    """The web address of a file at its source, without secrets; "" for one within an archive."""
    if item is None or not item.origin.startswith(("https://", "http://")):
        return ""
    if item.origin.partition("?")[0].endswith(_ARCHIVES):
        return ""
    return plain(without_secrets(item.origin))
