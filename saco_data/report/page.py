"""`saco report`: what was prepared, lost and changed, as one HTML page that needs no network.

The page is made from the ledger, the annotation files and the pictures. All text from outside is
escaped; the page's Content-Security-Policy allows only its own script and style.
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
from saco_data.dataset.pruned import keep_list_sha256
from saco_data.engine import status
from saco_data.model import words
from saco_data.model.errors import AnnotationError
from saco_data.model.items import Item
from saco_data.model.outside import without_secrets
from saco_data.model.reasons import Reason, State
from saco_data.model.words import human
from saco_data.report import charts, gallery
from saco_data.report.file_table import FileTable
from saco_data.report.gallery import Gallery
from saco_data.share import against_masks
from saco_data.state.ledger import Ledger
from saco_data.storage import files, folders

FILE_NAME = "report.html"
LIMIT = 19_000_000  # bytes of the whole page
OVERHEAD = 2_000_000  # bytes reserved for all but pictures and rows
MAX_RUNS = 60  # the latest ones
MAX_DAMAGED = 100
MAX_MESSAGES = 3  # of the source, for each reason and subset
STATES = (State.DONE, State.GONE, State.FAILED, State.BLOCKED, State.PENDING)


@dataclass
class Built:
    """The page that was written: its size in bytes, numbers of pictures and of rows (files)."""

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
    """What was lost for one reason. `messages`: (subset, the source's message, example, count)."""

    reason: Reason
    count: int = 0
    subsets: Counter[str] = field(default_factory=Counter)
    messages: list[tuple[str, str, str, int]] = field(default_factory=list)


@dataclass
class _Data:
    subsets: list[Subset] = field(default_factory=list)
    losses: dict[Reason, Loss] = field(default_factory=dict)
    gallery: Gallery = field(default_factory=Gallery)
    rows: FileTable = field(default_factory=FileTable)
    times: list[int] = field(default_factory=list)
    runs: list[dict[str, Any]] = field(default_factory=list)


def write(settings: Settings, subsets: Sequence[str], to: Path | None = None) -> Built:
    """Writes the page about some subsets, by default to `<silver>/.saco/report.html`.

    Raises DiskFull, OutputError, and LedgerDamaged where the ledger cannot be read.
    """
    to = to or settings.state / FILE_NAME
    with Ledger(settings.state, read_only=True) as ledger:
        now = ledger.now()
        data = _gather(settings, ledger, subsets)
    folders.sweep(to.parent, below=False, idle_seconds=folders.IDLE_SECONDS)
    images = settings.silver / "images"
    html = _render(data, now, quote(os.path.relpath(images, to.parent)))
    content = html.encode("utf-8", "replace")
    files.write_if_changed(to, content)
    pictures = len(data.gallery.random) + len(data.gallery.worst)
    return Built(to, len(content), pictures, len(data.rows.name))


def _gather(settings: Settings, ledger: Ledger, subsets: Sequence[str]) -> _Data:
    data = _Data(runs=ledger.runs())
    known = status.read(settings, ledger, subsets).subsets
    budget = gallery.BUDGET // max(1, sum(each.states[State.DONE] > 0 for each in known))
    for each in known:
        items = ledger.items(each.subset)
        shown = Subset(
            settings.subset(each.subset).manifest, each, ledger.done_bytes(each.subset)[1]
        )
        data.subsets.append(shown)
        done = {key: item for key, item in items.items() if item.state is State.DONE}
        times = [item.since for item in done.values()]
        if times:
            shown.first, shown.last = min(times), max(times)
            data.times += times
        remarks = _remarks(done)
        shifts = against_masks.known(
            settings, each.subset, ledger.facts(each.subset).sha256, keep_list_sha256(done)
        )
        if shifts and shifts.shifts:
            remarks.append(f"{shifts.in_words()}: a hint, not a proof, see docs/fidelity.md")
        _note_losses(data.losses, each, items)
        if not each.total:
            continue
        content = None
        try:
            if shown.facts.is_listed:
                gallery.add_videos(data.gallery, settings.subset(each.subset), budget)
            else:
                content = pairs.read(settings.subset(each.subset).pristine)
        except AnnotationError as error:
            remarks.insert(0, f"No pictures and phrases: {error}")
        if content is not None:
            remarks = [*(f"The annotation file {each}" for each in content.repairs), *remarks]
        shown.note = ". ".join(remarks)
        data.rows.add(each.subset, content, items)
        if content is not None:
            root = settings.subset(each.subset).images
            gallery.add(data.gallery, each.subset, root, content, done.keys(), budget)
    return data


def _remarks(done: dict[str, Item]) -> list[str]:
    """What is to be known of frames that were made with a reserve (docs/exactness.md)."""
    hdr = sum(item.is_hdr for item in done.values())
    concealed = sum(item.is_concealed for item in done.values())
    remarks = []
    if hdr:
        remarks.append(f"{hdr:,} frames come from HDR video: their colours are not OpenCV's")
    if concealed:
        remarks.append(
            f"{concealed:,} frames come from damaged video: the decoder made up parts of them"
        )
    return remarks


def _note_losses(
    losses: dict[Reason, Loss], known: status.SubsetStatus, items: dict[str, Item]
) -> None:
    counts: dict[Reason, Counter[str]] = {}
    examples: dict[tuple[Reason, str], str] = {}
    for key, item in items.items():
        if item.state in (State.DONE, State.PENDING):
            continue
        loss = losses.setdefault(item.reason, Loss(item.reason))
        loss.count += 1
        loss.subsets[known.subset] += 1
        message = plain(without_secrets(item.detail)[:300])
        counts.setdefault(item.reason, Counter())[message] += 1
        examples.setdefault((item.reason, message), plain(key))
    for reason, messages in counts.items():
        for message, count in messages.most_common(MAX_MESSAGES):
            example = examples[reason, message]
            losses[reason].messages.append((known.subset, message, example, count))


def _changes(run: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """What a run changed in each subset, as (state, text) for each kind of outcome."""
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
        # Not a reason: made, returned, repaired.
        state = State.DONE
    return state.value, f"{count:,} {words.reason(kind)}"


def _counts(known: status.SubsetStatus) -> list[tuple[str, int]]:
    return [(state.value, known.states[state]) for state in STATES]


def _render(data: _Data, now: int, images: str) -> str:
    environment = make_environment()
    environment.filters.update(
        number=words.number,
        size=human,
        when=words.when,
        lasting=words.lasting,
        reason=words.reason,
    )
    cards = (*data.gallery.random, *data.gallery.worst)
    room = LIMIT - OVERHEAD - sum(card.weight for card in cards)
    rows, left_out = data.rows.pack(room)
    totals = Counter[str]()
    for each in data.subsets:
        totals.update({state.value: each.status.states[state] for state in STATES})
        totals["files"] += each.status.total
        totals["bytes"] += each.bytes
        totals["image_nps"] += each.status.image_nps[0]
        totals["image_nps_usable"] += each.status.usable[0]
        totals["masks"] += each.status.masks[0]
        totals["masks_usable"] += each.status.usable[1]
    style, script = template_text("page.css"), template_text("page.js")
    return environment.get_template("page.html.j2").render(
        data=data,
        totals=totals,
        losses=sorted(data.losses.values(), key=lambda loss: -loss.count),
        runs=[(run, _changes(run)) for run in reversed(data.runs[-MAX_RUNS:])],
        damaged=list(data.gallery.damaged)[:MAX_DAMAGED],
        states=STATES,
        counts=_counts,
        charts=charts,
        growth=charts.growth(data.times, [run["started"] for run in data.runs]),
        percent=words.percent,
        endings=words.ENDINGS,
        rows=rows,
        left_out=left_out,
        images=images,
        now=now,
        version=metadata.version("saco-data"),
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704
        style_hash=hash_of(style),
        script_hash=hash_of(script),
    )


def make_environment() -> Environment:
    """The template engine of our pages: everything is escaped, a missing name is an error."""
    return Environment(
        loader=PackageLoader("saco_data.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def template_text(name: str) -> str:
    """The text of a file beside the templates."""
    return resources.files("saco_data.report").joinpath("templates", name).read_text("utf-8")


def hash_of(text: str) -> str:
    """The sha256 of a script or style as a Content-Security-Policy names it."""
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
