"""`saco report --eval RESULT`: the errors of a model as one HTML page that needs no network."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from markupsafe import Markup

from saco_data.config.settings import Settings
from saco_data.dataset.drawing import draw_layer
from saco_data.dataset.pairs import plain
from saco_data.dataset.pictures import NoPicture, open_picture
from saco_data.model import words
from saco_data.report import mistakes
from saco_data.report.gallery import THUMBNAIL, as_uri
from saco_data.report.mistakes import KINDS, WRONG, Evaluated, Mistake
from saco_data.report.packing import pack
from saco_data.report.templating import (
    Built,
    hash_of,
    make_environment,
    read_script,
    read_template,
)
from saco_data.storage import files

FILE_NAME = "eval.html"
SHOWN = 12  # items of each kind and subset
PHRASES = 40
BUDGET = 12_000_000  # bytes for all pictures


@dataclass
class Card:
    """An item as the page shows it: the same picture with the truth, and with the prediction."""

    item: Mistake
    width: int
    height: int
    picture: str
    truth: str
    predicted: str

    @property
    def weight(self) -> int:
        """Bytes in the page."""
        return 2 * len(self.picture) + len(self.truth) + len(self.predicted)


def write(settings: Settings, result: Path, to: Path | None = None) -> Built:
    """Writes the page about a result, by default to `<silver>/.saco/eval.html`.

    Raises UsageError where the result does not fit its files, DiskFull, OutputError.
    """
    to = to or settings.state / FILE_NAME
    found = mistakes.read(result)
    cards = _cards(settings, found)
    html = _render(found, cards).encode("utf-8", "replace")
    files.write_if_changed(to, html)
    rows = sum(len(each.items) for each in found)
    return Built(to, len(html), sum(map(len, cards.values())), rows)


def _cards(settings: Settings, found: Sequence[Evaluated]) -> dict[str, list[Card]]:
    """The costliest items of each kind of mistake, whose picture is here."""
    cards: dict[str, list[Card]] = {kind: [] for kind in WRONG}
    left = BUDGET
    for kind in WRONG:
        for each in found:
            items = [item for item in each.items if item.kind == kind]
            shown = 0
            for item in heapq.nlargest(2 * SHOWN, items, key=lambda item: item.cost):
                card = _card(settings, each, item) if shown < SHOWN else None
                if card is not None and left > card.weight:
                    left -= card.weight
                    shown += 1
                    cards[kind].append(card)
    return cards


def _card(settings: Settings, evaluated: Evaluated, item: Mistake) -> Card | None:
    root = settings.subset(settings.registry.find(evaluated.subset).id).images
    size = int(item.pair.width), int(item.pair.height)
    try:
        picture = open_picture(root, item.pair.file_name, size, THUMBNAIL)
    except NoPicture:
        return None
    layers = [
        as_uri(draw_layer(masks, picture), "PNG", optimize=True) if masks else ""
        for masks in evaluated.masks_of(item)
    ]
    uri = as_uri(picture, "JPEG", quality=70, optimize=True)
    return Card(item, *picture.size, uri, *layers)


def _pack(found: Sequence[Evaluated]) -> str:
    """All items as base64 of gzipped JSON: phrases once, a row for each item."""
    phrases: dict[str, int] = {}
    rows = [
        [
            at,
            item.pair.id,
            plain(item.pair.file_name),
            phrases.setdefault(plain(item.pair.phrase), len(phrases)),
            KINDS.index(item.kind),
            item.truth,
            item.predicted,
            round(item.f1, 3),
        ]
        for at, each in enumerate(found)
        for item in each.items
    ]
    content = {
        "subsets": [each.subset for each in found],
        "kinds": KINDS,
        "phrases": list(phrases),
        "rows": rows,
    }
    return pack(content)


def _render(found: Sequence[Evaluated], cards: dict[str, list[Card]]) -> str:
    environment = make_environment()
    environment.filters.update(number=words.number, plain=plain)
    items = [item for each in found for item in each.items]
    style, script = read_template("page.css"), read_script("base", "mistakes")
    return environment.get_template("mistakes.html.j2").render(
        found=found,
        counts={each.subset: Counter(item.kind for item in each.items) for each in found},
        totals=Counter(item.kind for item in items),
        kinds=KINDS,
        wrong=WRONG,
        cards=cards,
        phrases=mistakes.by_phrase(items, PHRASES),
        sizes=mistakes.by_size(items),
        rows=_pack(found),
        version=metadata.version("saco-data"),
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704
        style_hash=hash_of(style),
        script_hash=hash_of(script),
    )
