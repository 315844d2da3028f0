"""Prints what a run would do in each subset, and what it costs: the plan of `saco plan`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from saco_data.engine.forecast import Line, Table, _is_known
from saco_data.model.words import human
from saco_data.planning import costs
from saco_data.planning.costs import Size
from saco_data.planning.decisions import Decision
from saco_data.planning.disk import FileSystem

KEYS = """\
  ~ estimated from typical sizes   ≤ at most: the annotation file is not there
  hours: at each source's polite rate, and 100 Mbit/s for all of them together;
         also those for every fourth frame of videos"""


def show(table: Table) -> None:
    """Prints the table on stdout, and below it what the user must do. Fits into 80 columns."""
    from rich.table import Table as Grid

    from saco_data.report.console import print_hanging, stdout

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
    for each in table.lines:
        if each.costs.kept:
            print_hanging(console, each.subset, _describe_kept(each))
    for system in table.systems:
        if verdict := _verdict(system):
            print_hanging(console, "disk", verdict)
    needs = _by_need(table.lines)
    if needs:
        print("\nNeeds you:")
    for need, subsets in needs.items():
        if len(subsets) > 1:
            print_hanging(console, "several", f"{need} (for {', '.join(subsets)})")
        else:
            print_hanging(console, subsets[0], need)


def _describe_kept(line: Line) -> str:
    """What stays of the archives that are read."""
    kept = [f"{kind} ~{human(size)}" for kind, size in line.costs.kept.items()]
    read = f"~{human(line.costs.fetch.likely)} are read" if line.costs.fetch.likely else "at hand"
    return f"{read}; kept: {', '.join(kept)}"


def _by_need(lines: Sequence[Line]) -> dict[str, list[str]]:
    """What the user must do, and for which subsets."""
    needs: dict[str, list[str]] = {}
    for line in lines:
        for need in line.needs:
            needs.setdefault(need, []).append(line.subset)
    return needs


_COUNTS: tuple[Callable[[Line], int], ...] = (
    lambda line: line.costs.written if line.files is None else line.files,
    lambda line: line.there,
    lambda line: line.costs.written if line.files is None else line.to_make,
    lambda line: line.decisions.get(Decision.REST, 0),
)


def _cells(lines: Sequence[Line], fetch: Size, seconds: float) -> list[str]:
    """The cells of one line, or the sum of several."""
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
