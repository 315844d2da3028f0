"""The last line of a run: whole where there is room, never longer than 200 characters."""

from __future__ import annotations

from saco_data.cli.last_line import LONGEST, last_line
from saco_data.engine.events import Result
from saco_data.engine.status import Status, SubsetStatus
from saco_data.model.changes import Changes
from saco_data.model.errors import Blocked
from saco_data.model.items import Item
from saco_data.model.reasons import Reason, State
from saco_data.report.reasons import ReasonCount


def _status(**counts: int) -> Status:
    states = dict.fromkeys(State, 0) | {State(name): count for name, count in counts.items()}
    total = sum(counts.values())
    return Status([SubsetStatus("nga", total, states, {}, (0, 0), (0, 0), "", False)])


def test_a_short_problem_stands_there_in_full() -> None:
    error = Blocked("no links", item="a.txt", remedy="Get it")
    line = last_line("prepare", 4, _status(blocked=3), {"nga": Result("nga", 4, error=error)}, [])
    assert line == (
        "saco prepare: blocked, needs you (exit 4). 3 files: 3 blocked. Since last time: "
        "no change. 1 stopped early, first: a.txt: no links. Get it"
    )


def test_a_long_problem_is_cut_and_its_name_stays() -> None:
    error = Blocked("x" * 500, item="geode.zip", remedy="Get it")
    line = last_line(
        "prepare", 4, _status(blocked=10**6), {"nga": Result("nga", 4, error=error)}, []
    )
    assert len(line) == LONGEST == 200
    assert "1 stopped early, first: geode.zip: xxx" in line and line.endswith("…")


def test_where_to_read_more_stays_at_the_end() -> None:
    item = Item("nga", "a/b.jpg", False, Reason.SERVER_ERROR, "y" * 300, "", 0, "", {}, 1, 1, 1, 1)
    reasons = [ReasonCount("nga", Reason.SERVER_ERROR, 2, [item])]
    line = last_line("sync", 3, _status(done=10, failed=2), {}, reasons)
    assert len(line) == LONGEST and line.endswith("…. All: `saco status --reasons`")
    assert "Most: nga 2 server_error, as a/b.jpg (yyy" in line


def test_changes_of_several_subsets_are_added_up() -> None:
    results = {}
    for name in ("nga", "geode", "sav"):
        changes = Changes()
        keys = [f"{name}-{number}" for number in range(3)]
        changes.before.update(dict.fromkeys(keys))
        changes.after.update(dict.fromkeys(keys, Reason.HTTP_404))
        results[name] = Result(name, changes=changes)
    line = last_line("prepare", 0, _status(gone=9), results, [])
    assert line.endswith("Since last time: 9 newly gone")
