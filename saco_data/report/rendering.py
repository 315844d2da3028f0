"""The HTML of the page from its data."""

from __future__ import annotations

from collections import Counter
from importlib import metadata

from markupsafe import Markup

from saco_data.engine import status
from saco_data.model import words
from saco_data.model.reasons import State
from saco_data.model.words import human
from saco_data.report import charts, timeline
from saco_data.report.bias import compare
from saco_data.report.losses import list_changes
from saco_data.report.next_steps import list_steps, write_headline
from saco_data.report.packing import pack
from saco_data.report.page_data import Data
from saco_data.report.templating import hash_of, make_environment, read_script, read_template

LIMIT = 19_000_000  # bytes of the whole page
OVERHEAD = 2_000_000  # bytes reserved for all but pictures and rows
MAX_RUNS = 60  # the latest ones
MAX_DAMAGED = 100
MAX_PHRASES = 60  # lost ones that are shown
STATES = (State.DONE, State.GONE, State.FAILED, State.BLOCKED, State.PENDING)
SCRIPTS = (
    "base",
    "theme",
    "copy",
    "filters",
    "cards",
    "viewer",
    "export",
    "files",
    "page",
)


def render(data: Data) -> str:
    """The page as HTML."""
    environment = make_environment()
    environment.filters.update(
        number=words.number,
        size=human,
        when=words.when,
        lasting=words.lasting,
        reason=words.reason,
    )
    cards = (*data.gallery.random, *data.gallery.notable)
    shapes = pack([[[each.runs, each.box] for each in card.shapes] for card in cards])
    pictures = sum(len(card.picture) + len(card.over) for card in cards)
    rows, left_out = data.rows.pack(LIMIT - OVERHEAD - pictures - len(shapes))
    statuses = [each.status for each in data.subsets]
    totals = _add_up(data)
    lost = data.contents.lost_phrases()
    style, script = read_template("page.css"), read_script(*SCRIPTS)
    return environment.get_template("page.html.j2").render(
        data=data,
        now=data.now,
        images=data.images,
        headline=write_headline(totals),
        steps=list_steps(statuses),
        totals=totals,
        losses=sorted(data.losses.values(), key=lambda loss: -loss.count),
        bias=compare(data.contents.units),
        lost_phrases=lost[:MAX_PHRASES],
        lost_count=len(lost),
        most_frames=timeline.FRAMES,
        most_objects=timeline.OBJECTS,
        runs=[(run, list_changes(run)) for run in reversed(data.runs[-MAX_RUNS:])],
        damaged=list(data.gallery.damaged)[:MAX_DAMAGED],
        states=STATES,
        counts=_counts,
        charts=charts,
        growth=charts.growth(data.times, [run["started"] for run in data.runs]),
        percent=words.percent,
        endings=words.ENDINGS,
        shapes=shapes,
        rows=rows,
        left_out=left_out,
        version=metadata.version("saco-data"),
        style=Markup(style),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704
        style_hash=hash_of(style),
        script_hash=hash_of(script),
    )


def _add_up(data: Data) -> Counter[str]:
    """The totals of all subsets."""
    totals = Counter[str]()
    for each in data.subsets:
        known = each.status
        totals.update({state.value: known.states[state] for state in STATES})
        totals["files"] += known.total
        totals["bytes"] += each.bytes
        totals["image_nps"] += known.image_nps[0]
        totals["image_nps_usable"] += known.usable[0]
        totals["masks"] += known.masks[0]
        totals["masks_usable"] += known.usable[1]
    for kind, is_positive in (("positive", True), ("negative", False)):
        ready = data.contents.pairs[is_positive, True]
        totals[f"{kind}_ready"] = ready
        totals[kind] = ready + data.contents.pairs[is_positive, False]
    return totals


def _counts(known: status.SubsetStatus) -> list[tuple[str, int]]:
    return [(state.value, known.states[state]) for state in STATES]
