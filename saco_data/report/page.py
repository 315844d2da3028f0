"""`saco report`: what was prepared, lost and changed, as one HTML page that needs no network.

The page is made of the ledger, the annotation files and the pictures themselves. Everything that
came from outside is escaped; its policy refuses all scripts and styles but the page's own.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib import metadata, resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from saco_data.catalog.manifest import Manifest
from saco_data.config.settings import Settings
from saco_data.dataset import pairs
from saco_data.dataset.pairs import plain
from saco_data.engine import status
from saco_data.model import words
from saco_data.model.errors import AnnotationError
from saco_data.model.items import Item
from saco_data.model.reasons import Reason, State
from saco_data.model.words import human
from saco_data.report import charts, gallery
from saco_data.report.file_table import Rows
from saco_data.report.gallery import Gallery
from saco_data.state.ledger import Ledger
from saco_data.storage import files

FILE_NAME = "report.html"
# The whole page; what is neither pictures nor rows is far below a tenth of it.
LIMIT = 19_000_000
OVERHEAD = 2_000_000
RUNS = 60  # shown, the latest
DAMAGED = 100  # shown
SAYINGS = 3  # different words of the source shown for each reason and subset
STATES = (State.DONE, State.GONE, State.FAILED, State.BLOCKED, State.PENDING)


@dataclass
class Built:
    """What was written. `bytes` of the page, `pictures` in it, `rows` of files."""

    path: Path
    bytes: int
    pictures: int
    rows: int


@dataclass
class Subset:
    """One subset as the page shows it; times in seconds since the epoch."""

    facts: Manifest
    status: status.SubsetStatus
    bytes: int
    first: int | None = None
    last: int | None = None
    note: str = ""


@dataclass
class Loss:
    """What was lost for one reason. `sayings`: subset, the source's words, an example, how many."""

    reason: Reason
    count: int = 0
    subsets: Counter[str] = field(default_factory=Counter)
    sayings: list[tuple[str, str, str, int]] = field(default_factory=list)


@dataclass
class _Gathered:
    subsets: list[Subset] = field(default_factory=list)
    losses: dict[Reason, Loss] = field(default_factory=dict)
    gallery: Gallery = field(default_factory=Gallery)
    rows: Rows = field(default_factory=Rows)
    times: list[int] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)


def write(settings: Settings, subsets: Sequence[str], to: Path | None = None) -> Built:
    """Writes the page about some subsets, by default to `<silver>/.saco/report.html`.

    Raises DiskFull, OutputError, and LedgerDamaged where the ledger cannot be read.
    """
    to = to or settings.state / FILE_NAME
    with Ledger(settings.state, read_only=True) as ledger:
        now = ledger.now()
        found = _gathered(settings, ledger, subsets)
    images = settings.silver / "images"
    html = _rendered(found, now, quote(os.path.relpath(images, to.parent)))
    content = html.encode("utf-8", "replace")
    files.write_if_changed(to, content)
    pictures = len(found.gallery.random) + len(found.gallery.worst)
    return Built(to, len(content), pictures, len(found.rows.name))


def _gathered(settings: Settings, ledger: Ledger, subsets: Sequence[str]) -> _Gathered:
    found = _Gathered(runs=ledger.runs())
    known = status.read(settings, ledger, subsets).subsets
    budget = gallery.BUDGET // max(1, sum(each.states[State.DONE] > 0 for each in known))
    for each in known:
        items = ledger.items(each.subset)
        shown = Subset(settings.manifest(each.subset), each, ledger.done_bytes(each.subset)[1])
        found.subsets.append(shown)
        done = {key: item for key, item in items.items() if item.state is State.DONE}
        times = [item.since for item in done.values()]
        if times:
            shown.first, shown.last = min(times), max(times)
            found.times += times
        _note_losses(found.losses, each, items)
        if not each.total:
            continue
        content = None
        try:
            content = pairs.read(settings.pristine(each.subset))
        except AnnotationError as error:
            shown.note = f"No pictures and phrases: {error}"
        found.rows.add(each.subset, content, items)
        if content is not None:
            root = settings.images(each.subset)
            gallery.add(found.gallery, each.subset, root, content, done.keys(), budget)
    return found


def _note_losses(
    losses: dict[Reason, Loss], known: status.SubsetStatus, items: dict[str, Item]
) -> None:
    said: dict[Reason, Counter[str]] = {}
    examples: dict[tuple[Reason, str], str] = {}
    for key, item in items.items():
        if item.state in (State.DONE, State.PENDING):
            continue
        loss = losses.setdefault(item.reason, Loss(item.reason))
        loss.count += 1
        loss.subsets[known.subset] += 1
        saying = plain(item.detail[:300])
        said.setdefault(item.reason, Counter())[saying] += 1
        examples.setdefault((item.reason, saying), plain(key))
    for reason, sayings in said.items():
        for saying, count in sayings.most_common(SAYINGS):
            example = examples[reason, saying]
            losses[reason].sayings.append((known.subset, saying, example, count))


def _changes(run: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What a run did by subset: (state, words) of each kind of outcome."""
    shown = []
    for subset, kinds in run["changes"].items():
        chips: list[tuple[str, str]] = []
        for kind, value in kinds.items() if isinstance(kinds, dict) else ():
            if kind == "annotations":
                chips.append((State.PENDING.value, "annotation file changed"))
            elif isinstance(value, dict):
                by_reason = Counter(map(str, value.values()))
                chips += [_chip(reason, count) for reason, count in by_reason.most_common()]
            elif count := len(value) if isinstance(value, list) else value:
                chips.append(_chip(str(kind), count))
        if chips:
            shown.append((str(subset), chips))
    return shown


def _chip(kind: str, count: int) -> tuple[str, str]:
    try:
        state = Reason.of(kind).state
    except ValueError:
        # Made, returned, repaired.
        state = State.DONE
    return state.value, f"{count:,} {words.reason(kind)}"


def _counts(known: status.SubsetStatus) -> list[tuple[str, int]]:
    return [(state.value, known.states[state]) for state in STATES]


def _rendered(found: _Gathered, now: int, images: str) -> str:
    environment = Environment(
        loader=PackageLoader("saco_data.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=words.number,
        size=human,
        when=words.when,
        lasting=words.lasting,
        reason=words.reason,
    )
    cards = (*found.gallery.random, *found.gallery.worst)
    room = LIMIT - OVERHEAD - sum(card.weight for card in cards)
    packed, lacks = found.rows.packed(room)
    totals = Counter[str]()
    for each in found.subsets:
        totals.update({state.value: each.status.states[state] for state in STATES})
        totals["files"] += each.status.total
        totals["bytes"] += each.bytes
        totals["image_nps"] += each.status.image_nps[0]
        totals["image_nps_kept"] += each.status.image_nps[1]
        totals["masks"] += each.status.masks[0]
        totals["masks_kept"] += each.status.masks[1]
    style, script = _own("page.css"), _own("page.js")
    return environment.get_template("page.html.j2").render(
        found=found,
        totals=totals,
        losses=sorted(found.losses.values(), key=lambda loss: -loss.count),
        runs=[(run, _changes(run)) for run in reversed(found.runs[-RUNS:])],
        damaged=list(found.gallery.damaged)[:DAMAGED],
        states=STATES,
        counts=_counts,
        charts=charts,
        growth=charts.growth(found.times, [run["started"] for run in found.runs]),
        percent=words.percent,
        endings=words.ENDINGS,
        rows=packed,
        lacks=lacks,
        images=images,
        now=now,
        version=metadata.version("saco-data"),
        style=Markup(style),  # noqa: S704 - our own file
        script=Markup(script),  # noqa: S704
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _own(name: str) -> str:
    return resources.files("saco_data.report").joinpath("templates", name).read_text("utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
