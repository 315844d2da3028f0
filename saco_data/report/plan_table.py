"""What a run would do, by subset: the same plan that `prepare` follows, with its costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from saco_data import books, costs, needs, plan, sources, survey
from saco_data.annotations import read
from saco_data.config import Settings
from saco_data.costs import Costs, FileSystem, Room, Size, human
from saco_data.errors import SacoError
from saco_data.ledger import Ledger
from saco_data.plan import Decision

KEYS = """\
  ~ estimated from typical sizes   ≤ at most: the annotation file is not there
  hours: at each source's polite rate, and 100 Mbit/s for all of them together"""


@dataclass
class Line:
    """One subset: what is there, what is to be done, what it costs, and what the user must do.

    `files` is None while the annotation file is not there.
    """

    subset: str
    files: int | None = None
    there: int = 0
    decisions: dict[str, int] = field(default_factory=dict)
    costs: Costs = field(default_factory=lambda: Costs(""))
    needs: list[str] = field(default_factory=list)

    @property
    def to_make(self) -> int:
        """Files that a run would make."""
        return sum(self.decisions.get(each, 0) for each in (Decision.FETCH, Decision.PROCESS))

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`: bytes, hours, and which of them are known."""
        return {
            "files": self.files,
            "there": self.there,
            "to_make": self.to_make,
            "decisions": self.decisions,
            "fetch_bytes": self.costs.fetch.likely,
            "fetch_known": _is_known(self.costs.fetch),
            "peak_bytes": self.costs.peak.likely,
            "peak_bytes_at_least": self.costs.peak.least,
            "disk": {str(folder): size.likely for folder, size in self.costs.disk.items()},
            "hours": round(self.costs.seconds / 3600, 3),
            "at_most": self.costs.at_most,
            "needs": self.needs,
        }


@dataclass
class Table:
    """The whole plan: a line for each subset, and the file systems that it would fill."""

    lines: list[Line]
    systems: list[FileSystem]

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        fetch, seconds = costs.total(each.costs for each in self.lines)
        return {
            "subsets": {each.subset: each.as_json() for each in self.lines},
            "total": {"fetch_bytes": fetch.likely, "hours": round(seconds / 3600, 3)},
            "file_systems": [
                {
                    "folder": str(each.folder),
                    "free_bytes": each.free,
                    "peak_bytes": each.needed.likely,
                    "peak_bytes_at_least": each.needed.least,
                    "fits": False if each.problem else None if each.doubt else True,
                }
                for each in self.systems
            ],
        }


def make(settings: Settings, subsets: Sequence[str]) -> Table:
    """The plan. Reads annotations and ledger; writes nothing, asks no server."""
    room = Room()
    with Ledger(settings.state, read_only=True) as ledger:
        lines = [_line(settings, ledger, subset) for subset in subsets]
    for line in lines:
        room.add(line.costs)
    return Table(lines, list(room.systems.values()))


def _line(settings: Settings, ledger: Ledger, subset: str) -> Line:
    line = Line(subset)
    source = sources.get(subset, settings)
    if not settings.pristine(subset).is_file():
        line.costs = costs.of_manifest(settings, source)
        line.needs = [
            each
            for each in (needs.annotation_file(settings, subset), needs.raw_media(settings, subset))
            if each
        ]
        return line
    try:
        index = read(settings.pristine(subset), settings.manifest(subset))
        line.files = len(index.products)
        look_again = books.second_look(settings, ledger.now())
        other = books.other_meaning(ledger, subset, index)
        view = survey.view(settings, source, ledger.known(subset), look_again, other=other)
        steps = plan.make(subset, index.products.values(), view)
        remembered = ledger.items(subset, is_asset=True)
        line.costs = costs.of_plan(settings, source, steps, remembered)
    except SacoError as error:
        line.needs = [str(error)]
        return line
    line.decisions = {each.value: steps.products(each) for each in Decision}
    line.there = steps.products(Decision.KEEP) + steps.products(Decision.ADOPT)
    if line.to_make and (need := needs.raw_media(settings, subset)):
        line.needs = [need]
    return line


def _is_known(size: Size) -> bool:
    return size.least == size.likely


def show(table: Table) -> None:
    """The table on stdout, what needs the user below it: no number is lost at 80 columns."""
    from rich.table import Table as Grid

    from saco_data.report.console import hanging, stdout

    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column("subset", no_wrap=True)
    for name in ("files", "there", "to make", "gone", "to fetch", "peak disk", "hours"):
        grid.add_column(name, justify="right", no_wrap=True)
    for each in table.lines:
        grid.add_row(each.subset, *_cells([each], each.costs.fetch, each.costs.seconds))
    if len(table.lines) > 1:
        together = costs.total(each.costs for each in table.lines)
        grid.add_row("together", *_cells(table.lines, *together))
    console = stdout()
    console.print(grid)
    print(KEYS)
    for system in table.systems:
        if verdict := _verdict(system):
            hanging(console, "disk", verdict)
    asked = _by_need(table.lines)
    if asked:
        print("\nNeeds you:")
    for need, subsets in asked.items():
        if len(subsets) > 1:
            hanging(console, "several", f"{need} (for {', '.join(subsets)})")
        else:
            hanging(console, subsets[0], need)


def _by_need(lines: Sequence[Line]) -> dict[str, list[str]]:
    """What the user must do, each thing once, with the subsets that it is for."""
    asked: dict[str, list[str]] = {}
    for line in lines:
        for need in line.needs:
            asked.setdefault(need, []).append(line.subset)
    return asked


_COUNTS: tuple[Callable[[Line], int], ...] = (
    lambda line: line.costs.written if line.files is None else line.files,
    lambda line: line.there,
    lambda line: line.costs.written if line.files is None else line.to_make,
    lambda line: line.decisions.get(Decision.REST, 0),
)


def _cells(lines: Sequence[Line], fetch: Size, seconds: float) -> list[str]:
    """The cells of one line, or of several together."""
    at_most = any(each.costs.at_most for each in lines)
    mark = "≤" if at_most else ""
    files, there, to_make, gone = (sum(map(count, lines)) for count in _COUNTS)
    return [
        f"{mark}{files}",
        str(there),
        f"{mark}{to_make}",
        str(gone),
        _bytes(fetch, at_most),
        _bytes(sum((each.costs.peak for each in lines), Size()), at_most),
        _hours(seconds, at_most),
    ]


def _bytes(size: Size, at_most: bool) -> str:
    if not size.likely:
        return "0"
    mark = "" if _is_known(size) else "≤" if at_most else "~"
    return f"{mark}{human(size.likely)}"


def _hours(seconds: float, at_most: bool) -> str:
    hours = seconds / 3600
    if not hours:
        return ""
    if hours < 0.05:
        return "<0.1"
    return f"{'≤' if at_most else ''}{hours:.{0 if hours >= 100 else 1}f}"


def _verdict(system: FileSystem) -> str:
    if system.problem:
        return f"{system.folder}: does not fit: {system.problem}"
    if system.doubt:
        return f"{system.folder}: will probably not fit: {system.doubt}"
    if not system.needed.likely:
        return ""
    return f"{system.folder}: {human(system.free)} free, enough"
