"""What a run would do, one line a subset. `saco plan` prints it; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from saco_data.config.settings import Settings
from saco_data.engine import gone_policy
from saco_data.engine.subset import Subset, bind
from saco_data.model.errors import SacoError
from saco_data.planning import costs, plan
from saco_data.planning.costs import Costs, Size
from saco_data.planning.decisions import Decision
from saco_data.planning.disk import FileSystem, Room
from saco_data.planning.view import gather_view
from saco_data.sources import requirements
from saco_data.state.ledger import Ledger


@dataclass
class Line:
    """One subset: files that exist, decisions, costs, and what the user must do (`needs`).

    `files` is None while the annotation file is missing.
    """

    subset: str
    files: int | None = None
    there: int = 0
    decisions: dict[str, int] = field(default_factory=dict)
    costs: Costs = field(default_factory=lambda: Costs(""))
    needs: list[str] = field(default_factory=list)

    @property
    def to_make(self) -> int:
        """Number of files that a run would make."""
        return sum(self.decisions.get(name, 0) for name in (Decision.FETCH, Decision.PROCESS))

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`: bytes, hours, and whether they are known or estimated."""
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
            "kept_bytes": self.costs.kept,
            "needs": self.needs,
        }


@dataclass
class Table:
    """The plan of all subsets, and the file systems that it would fill."""

    lines: list[Line]
    systems: list[FileSystem]

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        fetch, seconds = costs.total(line.costs for line in self.lines)
        return {
            "version": 1,
            "subsets": {line.subset: line.as_json() for line in self.lines},
            "total": {"fetch_bytes": fetch.likely, "hours": round(seconds / 3600, 3)},
            "file_systems": [
                {
                    "folder": str(system.folder),
                    "free_bytes": system.free,
                    "peak_bytes": system.needed.likely,
                    "peak_bytes_at_least": system.needed.least,
                    "fits": False if system.problem else None if system.doubt else True,
                }
                for system in self.systems
            ],
        }


def make(settings: Settings, names: Sequence[str]) -> Table:
    """The plan of some subsets. Reads annotations and ledger; writes and requests nothing."""
    room = Room()
    with Ledger(settings.state, read_only=True) as ledger:
        lines = [_make_line(subset, ledger) for subset in bind(settings, names)]
    for line in lines:
        room.add(line.costs)
    return Table(lines, list(room.systems.values()))


def _make_line(subset: Subset, ledger: Ledger) -> Line:
    line, source = Line(subset.id), subset.source
    if not subset.config.pristine.is_file():
        line.costs = costs.of_manifest(source)
        line.needs = [
            need
            for need in (
                requirements.missing_annotations(subset.config),
                requirements.missing_raw_media(source),
            )
            if need
        ]
        return line
    try:
        index = subset.read_index()
        line.files = len(index.products)
        snapshot = ledger.snapshot(subset.id, products=True, assets=True)
        is_due = partial(gone_policy.is_second_look_due, subset, now=ledger.now())
        read_items = partial(ledger.items, subset.id)
        other = gone_policy.find_other_meaning(snapshot, index, read_items)
        view = gather_view(source, snapshot.products or {}, is_due, other=other)
        steps = plan.make(subset.id, index.products.values(), view)
        line.costs = costs.of_plan(source, steps, snapshot.assets or {})
        if unlisted := source.unlisted():
            line.costs += costs.of_archives(source, unlisted)
    except SacoError as error:
        line.needs = [str(error)]
        return line
    line.decisions = {decision.value: steps.products(decision) for decision in Decision}
    line.there = steps.products(Decision.KEEP) + steps.products(Decision.ADOPT)
    if line.to_make and (need := requirements.missing_raw_media(source)):
        line.needs = [need]
    return line


def _is_known(size: Size) -> bool:
    return size.least == size.likely
