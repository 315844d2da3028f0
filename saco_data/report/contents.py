"""What the annotations of a copy are about: positives, histograms, phrases, and what is missing.

A picture is *ready* (its file is here), *missing* (gone, failed or blocked) or not tried yet; the
last ones count in no comparison of ready and missing.
"""

from __future__ import annotations

import bisect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

import msgspec

from saco_data.dataset import raw_json
from saco_data.dataset.pairs import Pair, Pairs, area_of, plain
from saco_data.model.items import Item
from saco_data.model.reasons import State

TRAITS = (
    "phrases a picture",
    "share of positive phrases",
    "masks a picture",
    "mean mask area",
    "pixels of the picture",
)


@dataclass
class Histogram:
    """Counts of ready and of other values in bins.

    `edges`: the lower ends of all bins but the first. `labels`: one more than edges.
    """

    title: str
    edges: Sequence[float]
    labels: Sequence[str]
    ready: Counter[int] = field(default_factory=Counter)
    other: Counter[int] = field(default_factory=Counter)

    def add(self, value: float, *, is_ready: bool) -> None:
        """Counts a value."""
        counts = self.ready if is_ready else self.other
        counts[bisect.bisect_right(self.edges, value)] += 1

    @property
    def bins(self) -> list[tuple[str, int, int]]:
        """(label, ready, other) of each bin."""
        return [(name, self.ready[at], self.other[at]) for at, name in enumerate(self.labels)]


_FEW = (2, 3, 4, 5, 10, 20)
_FEW_LABELS = ("1", "2", "3", "4", "5–9", "10–19", "20 +")


@dataclass
class Unit:
    """What is lost as a whole: a picture, or all annotated frames of a video.

    `traits`: a value for each of TRAITS, None where there is none.
    """

    subset: str
    is_missing: bool
    traits: list[float | None]
    categories: Counter[str]


@dataclass
class Contents:
    """The contents of all subsets of a page.

    `pairs`: by (is positive, is ready). `phrases`: phrase to [image-NPs, missing ones], those of
    untried pictures left out.
    """

    pairs: Counter[tuple[bool, bool]] = field(default_factory=Counter)
    by_subset: dict[str, Counter[tuple[bool, bool]]] = field(default_factory=dict)
    areas: Histogram = field(
        default_factory=lambda: Histogram(
            "Mask area, % of the picture",
            (0.0001, 0.001, 0.01, 0.1, 0.5),
            ("< 0.01", "0.01–0.1", "0.1–1", "1–10", "10–50", "> 50"),
        )
    )
    masks: Histogram = field(
        default_factory=lambda: Histogram("Masks of a positive phrase", _FEW, _FEW_LABELS)
    )
    phrases_each: Histogram = field(
        default_factory=lambda: Histogram("Phrases of a picture", _FEW, _FEW_LABELS)
    )
    sizes: Histogram = field(
        default_factory=lambda: Histogram(
            "Picture size, megapixels",
            (0.1, 0.3, 1, 3, 10),
            ("< 0.1", "0.1–0.3", "0.3–1", "1–3", "3–10", "> 10"),
        )
    )
    phrases: dict[str, list[int]] = field(default_factory=dict)
    units: list[Unit] = field(default_factory=list)

    @property
    def histograms(self) -> list[Histogram]:
        """Those that have values."""
        all_of = (self.areas, self.masks, self.phrases_each, self.sizes)
        return [each for each in all_of if each.ready or each.other]

    def add(
        self, subset: str, pairs: Pairs, items: Mapping[str, Item], categories: Sequence[str]
    ) -> None:
        """Adds a subset. `categories`: that of each pair, in the order of the annotations."""
        category = dict(zip((pair.id for pair in pairs.pairs), categories, strict=True))
        counts = self.by_subset.setdefault(subset, Counter())
        groups: dict[str, list[list[Pair]]] = {}
        for name, members in pairs.by_file().items():
            item = items.get(name)
            is_ready = item is not None and item.state is State.DONE
            self._count_picture(pairs, members, counts, is_ready=is_ready)
            if item is not None and item.state is not State.PENDING:
                self._count_phrases(members, is_ready=is_ready)
                groups.setdefault(members[0].original_video or name, []).append(members)
        self.pairs += counts
        for pictures in groups.values():
            lost = [items[each[0].file_name].state is not State.DONE for each in pictures]
            kinds = Counter(category[pair.id] for each in pictures for pair in each)
            kinds.pop("", None)
            traits = _average([_measure(pairs, each) for each in pictures])
            self.units.append(Unit(subset, 2 * sum(lost) > len(lost), traits, kinds))

    def _count_picture(
        self,
        pairs: Pairs,
        members: list[Pair],
        counts: Counter[tuple[bool, bool]],
        *,
        is_ready: bool,
    ) -> None:
        self.phrases_each.add(len(members), is_ready=is_ready)
        self.sizes.add(_pixels(members[0]) / 1e6, is_ready=is_ready)
        for pair in members:
            masks = pairs.of(pair)
            counts[bool(masks), is_ready] += 1
            if masks:
                self.masks.add(len(masks), is_ready=is_ready)
            for mask in masks:
                if (area := area_of(mask)) is not None:
                    self.areas.add(area, is_ready=is_ready)

    def _count_phrases(self, members: list[Pair], *, is_ready: bool) -> None:
        for pair in members:
            count = self.phrases.setdefault(pair.phrase, [0, 0])
            count[0] += 1
            count[1] += not is_ready

    def lost_phrases(self) -> list[tuple[str, int]]:
        """Phrases of which every picture is missing, with the number of their image-NPs."""
        lost = [
            (plain(name), all_of) for name, (all_of, out) in self.phrases.items() if all_of == out
        ]
        return sorted(lost, key=lambda each: (-each[1], each[0]))


def read_categories(path: Path) -> list[str]:
    """The `queried_category` of each image-NP of an annotation file, "" where there is none."""

    class Entry(msgspec.Struct):
        queried_category: msgspec.Raw = msgspec.Raw(b"null")

    decode = msgspec.json.Decoder(Entry).decode
    found = []
    for raw, _ in raw_json.read(path).pairs():
        value = raw_json.value_of(decode(raw).queried_category)
        found.append(plain(str(value)) if isinstance(value, str | int) else "")
    return found


def _pixels(pair: Pair) -> float:
    return float(pair.width * pair.height)


def _measure(pairs: Pairs, members: list[Pair]) -> list[float | None]:
    """The traits of a picture, in the order of TRAITS."""
    masks = [mask for pair in members for mask in pairs.of(pair)]
    areas = [area for mask in masks if (area := area_of(mask)) is not None]
    positive = sum(bool(pairs.of(pair)) for pair in members)
    return [
        len(members),
        positive / len(members),
        len(masks),
        fmean(areas) if areas else None,
        _pixels(members[0]),
    ]


def _average(rows: list[list[float | None]]) -> list[float | None]:
    columns = [
        [value for value in column if value is not None] for column in zip(*rows, strict=True)
    ]
    return [fmean(column) if column else None for column in columns]
