"""What a run would do, by subset: the same plan that `prepare` follows, with its costs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saco_data import plan, sources, survey
from saco_data.annotations import read
from saco_data.config import Settings
from saco_data.errors import SacoError
from saco_data.ledger import Ledger
from saco_data.plan import Decision

# A 720p frame or a photograph, as far as nothing better is known.
PRODUCT_BYTES = 150_000


@dataclass
class Line:
    """The costs of one subset. Bytes are estimates except where `known`."""

    subset: str
    files: int = 0
    there: int = 0
    decisions: dict[str, int] | None = None
    fetch_bytes: int = 0
    known: bool = False
    peak_bytes: int = 0
    hours: float = 0.0
    needs: str = ""


def lines(settings: Settings, subsets: Sequence[str]) -> list[Line]:
    """One line a subset. Reads annotations and ledger; writes nothing, asks no server."""
    with Ledger(settings.state, read_only=True) as ledger:
        return [_line(settings, ledger, subset) for subset in subsets]


def _line(settings: Settings, ledger: Ledger, subset: str) -> Line:
    line = Line(subset)
    facts = settings.manifest(subset)
    try:
        index = read(settings.pristine(subset), facts)
        source = sources.get(subset, settings)
        view = survey.view(settings, source, ledger.items(subset))
        steps = plan.make(subset, index.products.values(), view)
        line.needs = source.needs()
    except SacoError as error:
        line.needs = str(error)
        return line
    line.files = len(index.products)
    line.decisions = {each.value: steps.products(each) for each in Decision}
    line.there = steps.products(Decision.KEEP) + steps.products(Decision.ADOPT)
    fetch = steps.assets(Decision.FETCH)
    rates = settings.rates(subset)
    line.fetch_bytes = len(fetch) * facts.raw.typical_bytes
    if facts.raw.kind == "archive" and facts.raw.bytes and fetch:
        # A stream is read to its last wanted member, whatever little of it is kept.
        line.fetch_bytes, line.known = facts.raw.bytes, True
    products = sum(len(asset.products) for asset in steps.assets(Decision.FETCH, Decision.PROCESS))
    line.peak_bytes = products * PRODUCT_BYTES + _raw_peak(settings, subset, len(fetch))
    pause = sum(rates.sleep_seconds) / 2
    pace = max(pause, 1 / rates.requests_per_second if rates.requests_per_second else 0.0)
    line.hours = len(fetch) * pace / 3600
    return line


def _raw_peak(settings: Settings, subset: str, assets: int) -> int:
    facts = settings.manifest(subset)
    if settings.removes_videos(subset):
        # The videos in work and the two on their way.
        assets = min(assets, settings.keys.jobs + 2)
    return assets * facts.raw.typical_bytes if facts.frames else 0


def free_bytes(path: Path) -> int:
    """Free bytes of the file system that will hold `path`, which need not exist yet."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def as_json(found: Sequence[Line]) -> dict[str, Any]:
    """Plain data for `--json`."""
    return {"subsets": {each.subset: vars(each) for each in found}}


def show(found: Sequence[Line]) -> None:
    """The table on stdout."""
    from rich.table import Table

    from saco_data.report.console import stdout

    table = Table(box=None, pad_edge=False)
    table.add_column("subset")
    for name in ("files", "there", "to make", "gone", "to fetch", "peak disk", "hours"):
        table.add_column(name, justify="right")
    table.add_column("needs")
    for each in found:
        counts = each.decisions or {}
        table.add_row(
            each.subset,
            str(each.files),
            str(each.there),
            str(counts.get("fetch", 0) + counts.get("process", 0)),
            str(counts.get("rest", 0)),
            human(each.fetch_bytes, estimate=not each.known),
            human(each.peak_bytes, estimate=True),
            f"{each.hours:.1f}" if each.hours else "",
            each.needs,
        )
    stdout().print(table)


def human(size: int, *, estimate: bool) -> str:
    """Bytes for people; an estimate is marked with ~."""
    if not size:
        return "0"
    power = min(len(str(size)) - 1, 14) // 3
    mark = "~" if estimate else ""
    return f"{mark}{size / 1000**power:.1f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"
