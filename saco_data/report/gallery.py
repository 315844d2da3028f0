"""Which pictures a page shows: a random sample, and those that look worst by some measure.

Every annotation's area is looked at, but only a sample of pictures is opened: a page about a
million of them must not take hours.
"""

from __future__ import annotations

import base64
import heapq
import io
import random
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from saco_data.dataset.pairs import Pair, Pairs, decoded, plain
from saco_data.model.words import percent
from saco_data.report.drawing import layer
from saco_data.report.pictures import Looks, NoPicture, measured, opened

POSITIVES = 8  # random pairs with masks that are shown, a subset
NEGATIVES = 4  # random pairs without masks
MEASURED = 40  # random pairs with masks that are opened and measured, a subset
EXTREMES = 6  # pairs of the smallest and of the largest annotated area that are measured besides
WORST = 2  # pairs shown of each measure, a subset
THUMBNAIL = 320  # pixels, longest side
# What the thumbnails of a page may weigh in bytes, so that 50,000 products stay under 20 MB.
BUDGET = 7_000_000


@dataclass
class Card:
    """One pair as shown: picture and masks as data URIs, and what there is to say of it."""

    subset: str
    file_name: str
    phrase: str
    annotated: int
    drawn: int
    width: int
    height: int
    picture: str
    over: str
    looks: Looks | None = None
    worst: list[str] = field(default_factory=list)

    @property
    def weight(self) -> int:
        """Bytes in the page."""
        return len(self.picture) + len(self.over)


@dataclass
class Gallery:
    """What a page shows of pictures. `damaged`: subset, file and what could not be drawn of it."""

    random: list[Card] = field(default_factory=list)
    worst: list[Card] = field(default_factory=list)
    damaged: dict[tuple[str, str, str], None] = field(default_factory=dict)
    measured: int = 0


# What an extreme is called, which measure it is of, and whether the lowest is the worst.
_EXTREMES: tuple[tuple[str, Callable[[Looks], float | None], bool], ...] = (
    ("smallest mask", lambda looks: looks.area, True),
    ("largest mask", lambda looks: looks.area, False),
    ("lowest contrast", lambda looks: looks.contrast, True),
    ("least sharp", lambda looks: looks.sharpness, True),
)


def add(
    gallery: Gallery, subset: str, root: Path, pairs: Pairs, ready: Collection[str], budget: int
) -> None:
    """Adds pictures of one subset from `root`: of the files in `ready`, at most `budget` bytes.

    The choice depends on the annotations and `ready` alone: the same files give the same page.
    """
    chance = random.Random(subset)  # noqa: S311
    here = [pair for pair in pairs.pairs if pair.file_name in ready]
    positives = [pair for pair in here if pairs.of(pair)]
    negatives = [pair for pair in here if not pairs.of(pair)]

    def card(pair: Pair) -> Card | None:
        return _card(gallery, subset, root, pairs, pair)

    shown = _different(_sample(chance, positives, POSITIVES * 4), POSITIVES)
    shown += _different(_sample(chance, negatives, NEGATIVES * 4), NEGATIVES)
    random_ = [made for made in map(card, shown) if made]
    extremes = [
        pair
        for extreme in (heapq.nsmallest, heapq.nlargest)
        for pair in extreme(EXTREMES, positives, key=lambda pair: _area(pairs, pair))
    ]
    candidates = {pair.id: pair for pair in (*_sample(chance, positives, MEASURED), *extremes)}
    looked_at = [made for made in map(card, candidates.values()) if made and made.looks]
    gallery.measured += len(looked_at)
    # The worst first: they are what someone must see.
    for to, cards in ((gallery.worst, _worst(looked_at)), (gallery.random, random_)):
        for made in cards:
            budget -= made.weight
            if budget < 0:
                return
            to.append(made)


def _sample(chance: random.Random, pairs: list[Pair], number: int) -> list[Pair]:
    return chance.sample(pairs, min(number, len(pairs)))


def _different(pairs: Iterable[Pair], number: int) -> list[Pair]:
    """Different pictures first; another phrase of the same one only where there are too few."""
    first: dict[str, Pair] = {}
    rest = [pair for pair in pairs if first.setdefault(pair.file_name, pair) is not pair]
    return [*first.values(), *rest][:number]


def _area(pairs: Pairs, pair: Pair) -> float:
    return sum(each.part or 0 for each in pairs.of(pair))


def _worst(cards: list[Card]) -> list[Card]:
    """The cards that are the worst by some measure; none where there is nothing to compare."""
    if len(cards) < 2:
        return []
    for name, measure, lowest in _EXTREMES:
        rated = [(measure(card.looks), at) for at, card in enumerate(cards) if card.looks]
        known = [(value, at) for value, at in rated if value is not None]
        for value, at in (heapq.nsmallest if lowest else heapq.nlargest)(WORST, known):
            shown = percent(value) if "mask" in name else f"{value:.0f}"
            cards[at].worst.append(f"{name}: {shown}")
    return [card for card in cards if card.worst]


def _card(gallery: Gallery, subset: str, root: Path, pairs: Pairs, pair: Pair) -> Card | None:
    """A pair made ready to be shown; None where its picture cannot be."""
    annotations, name = pairs.of(pair), plain(pair.file_name)
    masks, damaged = decoded(pair, annotations)
    try:
        picture = opened(root, pair.file_name, (pair.width, pair.height), THUMBNAIL)
    except NoPicture as error:
        gallery.damaged[subset, name, str(error)] = None
        return None
    for each in damaged:
        gallery.damaged[subset, name, each] = None
    return Card(
        subset,
        name,
        pair.phrase,
        len(annotations),
        len(masks),
        *picture.size,
        _uri(picture, "JPEG", quality=70, optimize=True),
        _uri(layer(masks, picture), "PNG", optimize=True) if masks else "",
        measured(picture, masks) if masks else None,
    )


def _uri(picture: Image.Image, kind: str, **options: object) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
