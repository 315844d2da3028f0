"""`saco sync`: re-checks, restored files, verification, new versions, and its report."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from saco_data.dataset.pruned import sidecar
from saco_data.engine import session, verify
from saco_data.engine import sync as module
from saco_data.engine.events import Stages
from saco_data.engine.sync import DAY, SLACK, is_due
from saco_data.model.items import Item
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Outcome
from saco_data.sandbox.http_server import Fault, Faults, FileServer
from saco_data.sandbox.packing import pack_tar
from saco_data.sandbox.scene import read_number
from saco_data.sources.archives import ArchiveSource
from saco_data.state.ledger import Ledger
from tests.helpers.annotations import annotate
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import config, tree
from tests.helpers.miniatures import build_one
from tests.helpers.pipeline import Notes, items
from tests.helpers.tiny_subset import (
    HOUR,
    NAMES,
    PICTURES,
    START,
    SUBSET,
    RemoteSubset,
    TinySubset,
    archive,
    pairs,
)

LOST = NAMES[2]


def gone(**changes: object) -> Item:
    item = Item("nga", "a", False, Reason.HTTP_404, "", "", None, None, {}, 0, 0, 0, 1)
    return replace(item, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("age", "pause"), [(DAY, DAY), (6 * DAY, DAY), (7 * DAY, 7 * DAY), (60 * DAY, 30 * DAY)]
)
def test_the_older_a_verdict_the_rarer_it_is_looked_at(age: int, pause: int) -> None:
    for reason in (Reason.HTTP_404, Reason.NETWORK, Reason.THROTTLED):
        item = gone(reason=reason, since=START, last_seen=START + age - pause + SLACK)
        assert is_due(item, START + age)
        assert not is_due(replace(item, last_seen=item.last_seen + 1), START + age)


def test_a_verdict_from_the_future_is_due_at_once(tmp_path: Path) -> None:
    ahead = START + 900 * DAY
    assert is_due(gone(since=START - 30 * DAY, last_seen=ahead), START)
    small = TinySubset(tmp_path, gone_confirm_hours=24)
    small.holds(set(NAMES) - {LOST})
    small.time = ahead
    assert small.prepare().code == 3
    small.time = START
    assert small.prepare().code == 3
    small.time += DAY
    assert small.prepare().code == 0
    assert small.kept() == set(NAMES) - {LOST}


def test_fresh_verdicts_and_items_that_wait_for_the_user_are_always_due() -> None:
    assert is_due(gone(since=START, last_seen=START), START + 1)
    waiting = gone(reason=Reason.LINK_EXPIRED, since=START, last_seen=START + 90 * DAY)
    assert is_due(waiting, START + 90 * DAY + 1)


def test_a_file_that_returns_is_restored_with_its_annotations_in_order(
    remote: RemoteSubset,
) -> None:
    remote.lose(LOST, version=1)
    assert remote.prepare().code == 0
    assert remote.kept() == set(NAMES) - {LOST}
    assert sidecar(remote.settings.subset(SUBSET).derived).exists()
    remote.lose(version=2)
    remote.time += 3 * DAY
    # `prepare` does not look again, `sync` does.
    assert remote.prepare().code == 0
    assert LOST not in remote.kept()
    synced = remote.sync()
    assert synced.code == 0
    assert synced.as_json()["subsets"][SUBSET]["returned"] == [LOST]
    assert remote.product(LOST).read_bytes() == PICTURES[LOST]
    pristine = remote.settings.subset(SUBSET).pristine.read_bytes()
    assert remote.settings.subset(SUBSET).derived.read_bytes() == pristine
    assert not sidecar(remote.settings.subset(SUBSET).derived).exists()


def test_without_work_nothing_is_requested_or_written(remote: RemoteSubset) -> None:
    remote.lose(LOST, version=1)
    remote.prepare()
    remote.time += 2 * DAY
    remote.sync()
    remote.time += HOUR
    server = remote.server
    asked, before = server.requests.total(), tree(remote.folder)
    synced = remote.sync()
    assert (synced.code, server.requests.total(), tree(remote.folder)) == (0, asked, before)
    assert synced.results[SUBSET].changes.in_words() == []


def test_a_failure_does_not_change_the_verdict_gone(remote: RemoteSubset) -> None:
    remote.lose(LOST, version=1)
    remote.prepare()
    remote.time += 2 * DAY
    server = remote.server
    server.faults = Faults(kinds=(Fault.EXPIRED,), probability=1)
    synced = remote.sync()
    assert synced.code == 4
    assert items(remote.settings, SUBSET)[LOST].state is State.GONE
    assert LOST not in remote.kept()


def test_damage_that_keeps_size_and_raw_file_is_found_and_repaired(
    tmp_path: Path,
) -> None:
    with FileServer({"/bdd100k.tar": archive(NAMES)}) as server:
        small = TinySubset(tmp_path, raw=f"{server.url}/bdd100k.tar")
        small.prepare()
        path = small.product(LOST)
        content = bytearray(path.read_bytes())
        content[300] ^= 0xFF
        # In place: a raw file that is the same file changes too.
        with path.open("r+b") as file:
            file.write(content)
        assert small.prepare().results[SUBSET].changes.in_words() == []
        synced = small.sync()
    report = synced.as_json()["subsets"][SUBSET]
    assert (synced.code, report["rotten"], report["repaired"]) == (0, [LOST], [LOST])
    assert path.read_bytes() == PICTURES[LOST]


def test_the_sample_rotates_through_all_products(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saco_data.engine.sync.SAMPLE", 2)
    small = TinySubset(tmp_path)
    small.prepare()
    seen = []
    for name in NAMES:
        small.product(name).write_bytes(PICTURES[name] + b"?")
        small.product(name).write_bytes(PICTURES[name][:-1] + b"\0")
    for _ in range(3):
        with Ledger(small.settings.state) as ledger:
            seen.append(ledger.facts(SUBSET).sampled_to)
        assert small.sync().code == 0
    assert seen[0] == "" and len(set(seen)) == 3
    assert all(small.product(name).read_bytes() == PICTURES[name] for name in NAMES)
    assert small.sync(full=True).checked[SUBSET].verified == len(NAMES)


def test_a_product_that_fails_verification_is_made_again(tmp_path: Path) -> None:
    with FileServer({"/bdd100k.tar": archive(NAMES)}) as server:
        small = TinySubset(tmp_path, raw=f"{server.url}/bdd100k.tar")
        small.prepare()
        # Another intact picture of the same size, without a raw file to compare it with.
        (small.settings.subset(SUBSET).raw_folder / LOST).unlink()
        small.product(LOST).unlink()
        small.product(LOST).write_bytes(PICTURES[NAMES[0]])
        assert verify.run(small.settings, [SUBSET], small.notes) == 3
        assert small.prepare().code == 0
    assert small.product(LOST).read_bytes() == PICTURES[LOST]


def test_damage_that_cannot_be_repaired_leaves_no_partial_file(tmp_path: Path) -> None:
    small = TinySubset(tmp_path)
    small.prepare()
    small.product(LOST).write_bytes(PICTURES[LOST][:-40])
    small.holds(set(NAMES) - {LOST}, version=1)
    synced = small.sync(full=True)
    assert synced.as_json()["subsets"][SUBSET]["gone"] == {LOST: "not_in_archive"}
    assert not small.product(LOST).exists()
    assert small.kept() == set(NAMES) - {LOST}


def test_a_file_from_the_user_replaces_a_gone_one(tmp_path: Path) -> None:
    small = TinySubset(tmp_path)
    small.holds(set(NAMES) - {LOST})
    small.prepare()
    small.product(LOST).write_bytes(PICTURES[LOST])
    assert small.sync().results[SUBSET].changes.returned() == [LOST]
    assert small.kept() == set(NAMES)


def test_the_record_of_removed_entries_follows_their_reasons(tmp_path: Path) -> None:
    small = TinySubset(tmp_path)
    small.holds(set(NAMES) - {LOST})
    small.prepare()
    with Ledger(small.settings.state) as ledger:
        ledger.record([Outcome(SUBSET, LOST, Reason.HTTP_404)])
    small.prepare(stages=Stages(fetch=False, process=False))
    record = json.loads(sidecar(small.settings.subset(SUBSET).derived).read_bytes())
    assert record["removed_files_by_reason"] == {"http_404": [LOST]}


def test_new_annotations_are_followed_and_reported(tmp_path: Path) -> None:
    small = TinySubset(tmp_path)
    small.prepare()
    annotate(tmp_path, SUBSET, pairs(NAMES[1:4], revision=2))
    small.sync()
    small.holds(NAMES)
    annotate(tmp_path, SUBSET, pairs(NAMES[2:], revision=3))
    changes = small.sync().as_json()["subsets"][SUBSET]
    assert changes["annotations"]["added"] == 1 and changes["annotations"]["dropped"] == 1
    assert small.kept() == set(NAMES[2:])
    assert set(items(small.settings, SUBSET)) == set(NAMES[2:])


def test_a_video_with_a_new_version_is_fetched_again(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "droid")
    videos = {
        f"/gresearch/robotics/droid_raw/1.0.1/{name}": video for name, video in subset.raw.items()
    }
    with FileServer(videos) as server:
        settings = config(
            tmp_path,
            silver_path="silver",
            endpoints={"droid_https": f"{server.url}/gresearch/robotics/droid_raw/1.0.1"},
        )
        from saco_data.engine.sync import sync

        session.go(settings, ["droid"], "prepare", Notes(), executor=InlineExecutor())
        ((first, _one), (_, other), *_) = videos.items()
        server.files[first] = other
        synced = sync(settings, ["droid"], Notes(), executor=InlineExecutor())
        followed = synced.checked["droid"].followed
        assert [first.endswith(name.rpartition("_")[2]) for name in followed] == [True]
        assert server.requests[first] > 1
        # The ledger now knows the new version.
        assert (
            sync(settings, ["droid"], Notes(), executor=InlineExecutor()).checked["droid"].followed
            == []
        )


@pytest.mark.parametrize("first", ["prepare", "verify", "prune", "download"])
def test_another_frame_by_the_same_name_is_another_product(tmp_path: Path, first: str) -> None:
    subset = build_one(tmp_path, "sav")
    (tmp_path / "videos_fps_6.tar").write_bytes(pack_tar(subset.raw))
    settings = config(
        tmp_path, silver_path="silver", sav_videos_fps_6_download_path="videos_fps_6.tar"
    )
    session.go(settings, ["sav"], "prepare", Notes(), executor=InlineExecutor())
    path = settings.subset("sav").pristine
    content = json.loads(path.read_bytes())
    name = content["images"][0]["file_name"]
    for entry in content["images"]:
        if entry["file_name"] == name:
            entry["global_frame_idx"] = 17
    path.write_text(json.dumps(content))
    # Any command may read the new annotations first; only a run that processes acts on them.
    if first == "verify":
        assert verify.run(settings, ["sav"], Notes()) == 3
    else:
        stages = Stages(fetch=first == "download", process=first == "prepare")
        session.go(settings, ["sav"], "test", Notes(), executor=InlineExecutor(), stages=stages)
    session.go(settings, ["sav"], "prepare", Notes(), executor=InlineExecutor())
    assert read_number(Image.open(settings.subset("sav").images / name)) == 17
    assert items(settings, "sav")[name].facts["frame"] == 17


@pytest.mark.parametrize("asked", [1, 2, 3, 5, 20])
def test_each_sync_asks_for_a_full_share_of_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: int
) -> None:
    small = TinySubset(tmp_path)
    small.prepare()
    seen: list[list[str]] = []

    def find_changed(source: object, known: Mapping[str, Item]) -> Iterator[str]:
        seen.append(list(known))
        return iter(())

    monkeypatch.setattr(ArchiveSource, "find_changed", find_changed)
    monkeypatch.setattr(module, "ASKED", asked)
    for _ in range(5):
        small.sync()
    assert [len(each) for each in seen] == [min(asked, len(NAMES))] * 5
    assert all(len(set(each)) == len(each) for each in seen)
    assert len({*(name for each in seen for name in each)}) == len(NAMES), "each has its turn"


@pytest.mark.parametrize("sample", [1, 2, 3, 5, 500])
def test_each_sync_verifies_a_full_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample: int
) -> None:
    small = TinySubset(tmp_path)
    small.prepare()
    monkeypatch.setattr(module, "SAMPLE", sample)
    verified = [small.sync().checked[SUBSET].verified for _ in range(5)]
    assert verified == [min(sample, len(NAMES))] * 5


def test_what_its_source_replaced_is_followed_and_what_was_damaged_is_repaired(
    tmp_path: Path,
) -> None:
    subset = build_one(tmp_path, "droid")
    root = "/gresearch/robotics/droid_raw/1.0.1"
    videos = {f"{root}/{name}": video for name, video in subset.raw.items()}
    with FileServer(videos) as server:
        endpoints = {"droid_https": f"{server.url}{root}"}
        settings = config(tmp_path, silver_path="silver", endpoints=endpoints)
        session.go(settings, ["droid"], "prepare", Notes(), executor=InlineExecutor())
        ((first, _one), (_, other), *_) = videos.items()
        server.files[first] = other
        done = module.sync(settings, ["droid"], Notes(), executor=InlineExecutor())
        changes = done.results["droid"].changes
        assert changes.replaced() and changes.repaired() == []
        assert any("followed to a new version" in phrase for phrase in changes.in_words())
        assert done.as_json()["subsets"]["droid"]["replaced"] == changes.replaced()
        damaged = settings.subset("droid").images / changes.replaced()[0]
        content = damaged.read_bytes()
        damaged.unlink()
        damaged.write_bytes(content[:-1] + b"?")
        done = module.sync(settings, ["droid"], Notes(), full=True, executor=InlineExecutor())
        changes = done.results["droid"].changes
        assert (changes.replaced(), len(changes.repaired())) == ([], 1)
