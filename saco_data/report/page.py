"""`saco report`: what was prepared, lost and changed, as one HTML page that needs no network.

The page is made from the ledger, the annotation files and the pictures. All text from outside is
escaped; the page's Content-Security-Policy allows only its own script and style.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from saco_data.config.settings import Settings
from saco_data.dataset import pairs
from saco_data.dataset.pairs import plain
from saco_data.dataset.pruned import keep_list_sha256
from saco_data.engine import status
from saco_data.model.errors import AnnotationError, UsageError
from saco_data.model.items import Item
from saco_data.model.reasons import State
from saco_data.report import gallery, masklets
from saco_data.report.comparison import compare
from saco_data.report.console import list_evaluator_lines
from saco_data.report.contents import read_categories
from saco_data.report.losses import note_losses
from saco_data.report.page_data import Data, Subset
from saco_data.report.rendering import render
from saco_data.report.templating import Built
from saco_data.report.timeline import list_timelines
from saco_data.share import card, shifts
from saco_data.share.copies import Copy
from saco_data.share.paragraph import write_paragraph
from saco_data.state.ledger import Ledger
from saco_data.storage import files, folders

FILE_NAME = "report.html"


def write(
    settings: Settings, subsets: Sequence[str], to: Path | None = None, other: Copy | None = None
) -> Built:
    """Writes the page about some subsets, by default to `<silver>/.saco/report.html`.

    `other`: another copy to compare with. Raises DiskFull, OutputError, and LedgerDamaged where the
    ledger cannot be read.
    """
    to = to or settings.state / FILE_NAME
    with Ledger(settings.state, read_only=True) as ledger:
        data = Data(
            ledger.now(),
            _relative(settings.silver / "images", to),
            settings.registry.title_of(subsets),
            runs=ledger.runs(),
        )
        _gather(data, settings, ledger, subsets, to, other)
    _add_card(data, settings, subsets)
    folders.sweep(to.parent, below=False, idle_seconds=folders.IDLE_SECONDS)
    content = render(data).encode("utf-8", "replace")
    files.write_if_changed(to, content)
    pictures = len(data.gallery.random) + len(data.gallery.notable)
    return Built(to, len(content), pictures, len(data.rows.name))


def _gather(
    data: Data,
    settings: Settings,
    ledger: Ledger,
    subsets: Sequence[str],
    to: Path,
    other: Copy | None,
) -> None:
    known = status.read(settings, ledger, subsets)
    data.evaluator = list_evaluator_lines(settings, known)
    data.other = _name_of(other) if other else ""
    ready = sum(each.states[State.DONE] > 0 for each in known.subsets)
    budget = gallery.BUDGET // max(1, ready)
    for each in known.subsets:
        config = settings.subset(each.subset)
        items = ledger.items(each.subset)
        shown = Subset(config.manifest, each, ledger.done_bytes(each.subset)[1])
        data.subsets.append(shown)
        done = {key: item for key, item in items.items() if item.state is State.DONE}
        times = [item.since for item in done.values()]
        if times:
            shown.first, shown.last = min(times), max(times)
            data.times += times
        remarks = _remarks(done)
        shifted = shifts.known(
            settings, each.subset, ledger.facts(each.subset).sha256, keep_list_sha256(done)
        )
        if shifted and shifted.shifts:
            remarks.append(f"{shifted.in_words()}: a hint, not a proof, see docs/fidelity.md")
        note_losses(data.losses, each.subset, items)
        if not each.total:
            continue
        content, categories = None, list[str]()
        try:
            if shown.facts.is_listed:
                videos = masklets.choose(masklets.videos_of(config), config.id)
                gallery.add_videos(data.gallery, config.id, videos, budget)
                data.timelines += list_timelines(config.id, videos)
            else:
                content = pairs.read(config.pristine)
                categories = read_categories(config.pristine)
        except AnnotationError as error:
            remarks.insert(0, f"No pictures and phrases: {error}")
        if content is not None:
            remarks = [*(f"The annotation file {each}" for each in content.repairs), *remarks]
        shown.note = ". ".join(remarks)
        there = other.names.get(each.subset) if other else None
        data.rows.folders[each.subset] = _relative(config.images, to)
        data.rows.add(each.subset, content, items, there)
        if there is not None and other is not None:
            facts, theirs = ledger.facts(each.subset), other.annotations.get(each.subset)
            is_same = theirs == facts.sha256 if theirs else None
            data.comparisons.append(compare(each.subset, items, there, is_same))
        if content is not None:
            data.contents.add(each.subset, content, items, categories)
            gallery.add(data.gallery, each.subset, config.images, content, done.keys(), budget)


def _name_of(other: Copy) -> str:
    """The folder of a card, or the name of a keep-list."""
    source = other.source.absolute()
    return plain(source.parent.name if source.name == card.NAME else source.name)


def _add_card(data: Data, settings: Settings, subsets: Sequence[str]) -> None:
    try:
        data.paragraph = write_paragraph(card.make(settings, subsets))
    except (UsageError, AnnotationError) as error:
        data.no_paragraph = str(error)


def _relative(folder: Path, to: Path) -> str:
    """The address of a folder, relative to the page."""
    return quote(os.path.relpath(folder, to.parent))


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
