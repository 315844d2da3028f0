"""Which pictures a page shows: a random sample, and those worth a look by some measure.

All annotated areas are compared, but only a sample of pictures is opened, so that a page about a
million pictures takes seconds.
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

from saco_data.dataset.drawing import draw_layer
from saco_data.dataset.pairs import Pair, Pairs, area_of, decode_masks, plain
from saco_data.dataset.pictures import NoPicture, open_picture
from saco_data.dataset.train_videos import TrainVideo
from saco_data.dataset.videos import Video
from saco_data.model.words import percent
from saco_data.report import masklets
from saco_data.report.measures import Looks, measure
from saco_data.report.shapes import Shape, list_shapes

# Of each subset:
POSITIVES = 8  # random pairs with masks that are shown
NEGATIVES = 4  # random pairs without masks
VIDEOS = 8  # random videos, where masks belong to videos
MEASURED = 40  # random pairs with masks that are opened and measured
EXTREMES = 6  # pairs of the smallest and of the largest annotated area, measured too
NOTABLE = 2  # pairs shown for each measure
THUMBNAIL = 480  # pixels, longest side: also what is shown large
MEASURE_AT = 320  # pixels, longest side: what measures refer to
# Bytes for all pictures of a page, so that a page about 50,000 products stays under 20 MB.
BUDGET = 8_000_000


@dataclass
class Card:
    """One pair as a page shows it.

    `annotated` and `drawn` are numbers of masks, `width` and `height` those of the thumbnail in
    pixels, `picture` and `over` (its masks) data URIs; `shapes` are its masks one by one. `notable`
    names the measures it is shown for.
    """

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
    notable: list[str] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)

    @property
    def weight(self) -> int:
        """Bytes in the page."""
        # A run takes about two bytes once it is compressed.
        return len(self.picture) + len(self.over) + sum(2 * len(each.runs) for each in self.shapes)


@dataclass
class Gallery:
    """The pictures of a page. `damaged`: (subset, file, why it could not be drawn) in order."""

    random: list[Card] = field(default_factory=list)
    notable: list[Card] = field(default_factory=list)
    damaged: dict[tuple[str, str, str], None] = field(default_factory=dict)
    measured: int = 0


# Name, measure, and whether the lowest value is the notable one.
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

    The choice depends only on the annotations and `ready`: the same files give the same page.
    """
    chance = random.Random(subset)  # noqa: S311
    here = [pair for pair in pairs.pairs if pair.file_name in ready]
    positives = [pair for pair in here if pairs.of(pair)]
    negatives = [pair for pair in here if not pairs.of(pair)]

    def card(pair: Pair) -> Card | None:
        return _card(gallery, subset, root, pairs, pair)

    shown = _different(_sample(chance, positives, POSITIVES * 4), POSITIVES)
    shown += _different(_sample(chance, negatives, NEGATIVES * 4), NEGATIVES)
    random_cards = [made for made in map(card, shown) if made]
    extremes = [
        pair
        for extreme in (heapq.nsmallest, heapq.nlargest)
        for pair in extreme(EXTREMES, positives, key=lambda pair: _area(pairs, pair))
    ]
    candidates = {pair.id: pair for pair in (*_sample(chance, positives, MEASURED), *extremes)}
    measured = [made for made in map(card, candidates.values()) if made and made.looks]
    gallery.measured += len(measured)
    # The notable ones come first, in case the budget ends.
    for to, cards in ((gallery.notable, _notable(measured)), (gallery.random, random_cards)):
        for made in cards:
            budget -= made.weight
            if budget < 0:
                return
            to.append(made)


def add_videos(
    gallery: Gallery, subset: str, videos: Iterable[Video | TrainVideo], budget: int
) -> None:
    """Adds videos of one subset, as `add` does: some frames of each with their masklets."""
    shown = 0
    for video in videos:
        name = plain(masklets.name_of(video))
        try:
            strip = masklets.draw_strip(video, THUMBNAIL // 2)
        except masklets.NoFrames as error:
            gallery.damaged[subset, name, str(error)] = None
            continue
        card = Card(
            subset,
            name,
            f"frames {', '.join(map(str, strip.frames))}",
            strip.objects,
            strip.objects,
            *strip.picture.size,
            as_uri(strip.picture, "JPEG", quality=70, optimize=True),
            as_uri(strip.layer, "PNG", optimize=True),
        )
        budget -= card.weight
        if budget < 0 or shown == VIDEOS:
            return
        gallery.random.append(card)
        shown += 1


def _sample(chance: random.Random, pairs: list[Pair], number: int) -> list[Pair]:
    return chance.sample(pairs, min(number, len(pairs)))


def _different(pairs: Iterable[Pair], number: int) -> list[Pair]:
    """So many pairs, of different pictures as long as there are any."""
    first: dict[str, Pair] = {}
    rest = [pair for pair in pairs if first.setdefault(pair.file_name, pair) is not pair]
    return [*first.values(), *rest][:number]


def _area(pairs: Pairs, pair: Pair) -> float:
    return sum(area_of(each) or 0 for each in pairs.of(pair))


def _notable(cards: list[Card]) -> list[Card]:
    """The cards that are extreme by some measure; empty for fewer than two."""
    if len(cards) < 2:
        return []
    for name, rate, lowest in _EXTREMES:
        rated = [(rate(card.looks), at) for at, card in enumerate(cards) if card.looks]
        known = [(value, at) for value, at in rated if value is not None]
        for value, at in (heapq.nsmallest if lowest else heapq.nlargest)(NOTABLE, known):
            shown = percent(value) if "mask" in name else f"{value:.0f}"
            cards[at].notable.append(f"{name}: {shown}")
    return [card for card in cards if card.notable]


def _card(gallery: Gallery, subset: str, root: Path, pairs: Pairs, pair: Pair) -> Card | None:
    """The card of a pair; None where its picture cannot be opened."""
    annotations, name = pairs.of(pair), plain(pair.file_name)
    masks, damaged = decode_masks(pair, annotations)
    try:
        size = (int(pair.width), int(pair.height))
        picture = open_picture(root, pair.file_name, size, THUMBNAIL)
    except NoPicture as error:
        gallery.damaged[subset, name, str(error)] = None
        return None
    for each in damaged:
        gallery.damaged[subset, name, each] = None
    return Card(
        subset,
        name,
        plain(pair.phrase),
        len(annotations),
        len(masks),
        *picture.size,
        as_uri(picture, "JPEG", quality=70, optimize=True),
        as_uri(draw_layer(masks, picture), "PNG", optimize=True) if masks else "",
        measure(_shrink(picture), masks) if masks else None,
        shapes=list_shapes(pair, annotations, picture.size),
    )


def _shrink(picture: Image.Image) -> Image.Image:
    small = picture.copy()
    small.thumbnail((MEASURE_AT, MEASURE_AT))
    return small


def as_uri(picture: Image.Image, kind: str, **options: object) -> str:
    """A picture as a data URI; `kind`: JPEG, PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"
