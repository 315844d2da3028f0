"""When "gone" counts: after a second look, or when the user confirms it; and what sync reports."""

from __future__ import annotations

import json
from pathlib import Path

from saco_data.engine.events import Stages
from saco_data.model.reasons import Reason
from saco_data.model.records import Outcome
from saco_data.state.ledger import Ledger
from tests.conftest import Saco
from tests.helpers.folders import config
from tests.helpers.pipeline import items
from tests.helpers.tiny_subset import (
    HOUR,
    NAMES,
    PICTURES,
    START,
    SUBSET,
    RemoteSubset,
    TinySubset,
)

LOST = NAMES[2]


def test_gone_awaits_a_second_look_where_the_config_asks_for_it(remote: RemoteSubset) -> None:
    small = TinySubset(
        remote.folder, raw=str(remote.settings.subset(SUBSET).raw), gone_confirm_hours=24
    )
    remote.lose(LOST, version=1)
    assert small.prepare().code == 3
    assert small.kept() == set(NAMES)
    small.time += 23 * HOUR
    assert small.sync().code == 3
    assert small.kept() == set(NAMES)
    small.time += HOUR
    assert small.sync().code == 0
    assert small.kept() == set(NAMES) - {LOST}
    item = items(small.settings, SUBSET)[LOST]
    assert (item.gone_first, item.gone_last) == (START, START + 24 * HOUR)


def test_prepare_takes_the_second_look_too(tmp_path: Path) -> None:
    small = TinySubset(tmp_path, gone_confirm_hours=24)
    small.holds(set(NAMES) - {LOST})
    assert small.prepare().code == 3
    small.time += 25 * HOUR
    assert small.prepare().code == 0
    assert small.kept() == set(NAMES) - {LOST}


def test_the_user_can_confirm_gone_without_a_second_look(tmp_path: Path) -> None:
    small = TinySubset(tmp_path, gone_confirm_hours=24)
    small.holds(set(NAMES) - {LOST})
    assert small.prepare().code == 3
    assert small.prepare(confirm_gone=True).code == 0
    assert small.kept() == set(NAMES) - {LOST}
    assert small.prepare().code == 0
    assert small.kept() == set(NAMES) - {LOST}
    # A file that returned and is gone once more needs two looks again.
    small.holds(NAMES, version=1)
    small.sync()
    small.product(LOST).unlink()
    small.holds(set(NAMES) - {LOST}, version=2)
    assert small.sync().code == 3
    assert small.kept() == set(NAMES)


def test_gone_from_a_throttled_source_does_not_count(tmp_path: Path) -> None:
    from saco_data.engine.conclusion import conclude
    from saco_data.engine.events import Result
    from saco_data.engine.pipeline import _count
    from saco_data.engine.subset import bind_one

    small = TinySubset(tmp_path, gone_confirm_hours=24)
    small.prepare()
    with Ledger(small.settings.state) as ledger:
        subset = bind_one(small.settings, SUBSET)
        said = [
            Outcome(SUBSET, LOST, Reason.VIDEO_UNAVAILABLE),
            Outcome(SUBSET, NAMES[0], Reason.THROTTLED),
        ]
        for outcomes in (said, said[:1]):
            result = Result(SUBSET)
            result.changes.add(ledger.record(outcomes))
            _count(result, outcomes)
            conclude(
                subset,
                ledger,
                small.notes,
                result,
                stages=Stages(),
                index=None,
                confirm_gone=False,
                stopped=False,
            )
            witnessed = ledger.items(SUBSET)[LOST].gone_first is not None
            assert witnessed == (len(outcomes) == 1)


def test_the_command_reports_changes_in_json_and_in_its_last_line(
    tmp_path: Path, saco: Saco
) -> None:
    small = TinySubset(tmp_path)
    small.holds(set(NAMES) - {LOST})
    first = saco("prepare", SUBSET, cwd=tmp_path)
    assert first.returncode == 0
    last = first.stderr.splitlines()[-1]
    assert "saco prepare: complete (exit 0). 5 files: 4 done, 1 gone" in last
    assert "4 made, 1 newly gone" in last
    small.holds(NAMES, version=1)
    second = saco("-q", "sync", "--json", SUBSET, cwd=tmp_path)
    assert second.returncode == 0
    assert json.loads(second.stdout)["subsets"][SUBSET]["returned"] == [LOST]
    assert "1 came back" in second.stderr.splitlines()[-1]
    third = saco("-q", "sync", SUBSET, cwd=tmp_path)
    assert third.stdout == "" and "no change" in third.stderr.splitlines()[-1]
    reasons = saco("status", "--reasons", "--json", SUBSET, cwd=tmp_path)
    assert json.loads(reasons.stdout)["reasons"] == []


def test_a_blocked_sync_exits_4_and_names_the_cause(tmp_path: Path, saco: Saco) -> None:
    small = TinySubset(tmp_path)
    small.tar.unlink()
    ended = saco("-q", "sync", SUBSET, cwd=tmp_path)
    assert ended.returncode == 4
    assert "blocked, needs you (exit 4)" in ended.stderr.splitlines()[-1]
    assert "bdd100k.tar does not exist" in ended.stderr.splitlines()[-1]


def test_the_last_line_names_blocked_items_and_is_logged(tmp_path: Path, saco: Saco) -> None:
    small = TinySubset(tmp_path)
    folder = tmp_path / "extracted" / "bdd100k" / "images" / "100k" / "train"
    folder.mkdir(parents=True)
    for name in set(NAMES) - {LOST}:
        (folder / name).write_bytes(PICTURES[name])
    config(tmp_path, silver_path="silver", bdd100k_raw="extracted", jobs=1)
    ended = saco("-q", "sync", SUBSET, cwd=tmp_path)
    assert ended.returncode == 4
    last = ended.stderr.splitlines()[-1]
    assert f"Most: bdd100k 1 not_in_folder, as {LOST} (no such file" in last
    (log,) = (small.settings.state / "logs").iterdir()
    said = log.read_text()
    assert last in said and "bdd100k: 5 of 5 files to make" in said
