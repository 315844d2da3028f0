"""What a run would do: one line a subset, without any download. `saco plan` prints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from saco_data import sources
from saco_data.config.settings import Settings
from saco_data.dataset.index import read
from saco_data.engine import gone_policy
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
            for each in (
                requirements.annotation_file(settings, subset),
                requirements.raw_media(settings, subset),
            )
            if each
        ]
        return line
    try:
        index = read(settings.pristine(subset), settings.manifest(subset))
        line.files = len(index.products)
        look_again = gone_policy.second_look(settings, ledger.now())
        other = gone_policy.other_meaning(ledger, subset, index)
        view = gather_view(settings, source, ledger.known(subset), look_again, other=other)
        steps = plan.make(subset, index.products.values(), view)
        remembered = ledger.items(subset, is_asset=True)
        line.costs = costs.of_plan(settings, source, steps, remembered)
    except SacoError as error:
        line.needs = [str(error)]
        return line
    line.decisions = {each.value: steps.products(each) for each in Decision}
    line.there = steps.products(Decision.KEEP) + steps.products(Decision.ADOPT)
    if line.to_make and (need := requirements.raw_media(settings, subset)):
        line.needs = [need]
    return line


def _is_known(size: Size) -> bool:
    return size.least == size.likely
