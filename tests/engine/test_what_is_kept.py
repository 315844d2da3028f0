"""Finished files stay correct when sources, disks, annotations or users change things."""

from __future__ import annotations

import errno
import io
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image

from saco_data.config.settings import Settings
from saco_data.dataset.index import Index
from saco_data.engine import session, status, verify
from saco_data.engine.events import Stages
from saco_data.engine.sync import sync
from saco_data.model.errors import OutputError, UsageError
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Outcome, Product
from saco_data.sandbox.http_server import Fault, Faults, FileServer
from saco_data.sandbox.packing import pack_tar
from saco_data.sandbox.scene import read_number
from saco_data.share import card
from saco_data.state.ledger import Ledger
from saco_data.storage import files, folders
from tests.helpers.annotations import annotate
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.pipeline import Notes, items, products, states
from tests.helpers.tiny_subset import (
    DAY,
    NAMES,
    PICTURES,
    START,
    SUBSET,
    TinySubset,
    archive,
    pairs,
)

LOST = NAMES[2]


def complete(settings: Settings, subset: str = SUBSET) -> bool:
    with Ledger(settings.state, read_only=True) as ledger:
        return status.read(settings, ledger, [subset]).complete


def prepare(settings: Settings, subset: str, *, clock: Callable[[], float] = time.time) -> int:
    return session.go(
        settings, [subset], "prepare", Notes(), executor=InlineExecutor(), clock=clock
    ).code


# Annotations that change


def test_a_name_that_returns_with_another_frame_is_another_product(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    with FileServer({"/v.tar": pack_tar(subset.raw)}) as server:
        settings = config(
            tmp_path,
            silver_path="silver",
            sav_videos_fps_6_download_path=f"{server.url}/v.tar",
            remove_downloaded_videos_sav=True,
        )
        prepare(settings, "sav")
        path = settings.subset("sav").pristine
        document = json.loads(path.read_bytes())
        images = document["images"]
        name = images[0]["file_name"]
        document["images"] = [each for each in images if each["file_name"] != name]
        path.write_text(json.dumps(document))
        prepare(settings, "sav")
        assert name not in items(settings, "sav")
        for each in images:
            each["global_frame_idx"] = 17 if each["file_name"] == name else each["global_frame_idx"]
        path.write_text(json.dumps({**document, "images": images}))
        assert prepare(settings, "sav") == 0
    assert read_number(Image.open(settings.subset("sav").images / name)) == 17


def test_a_frame_without_a_recorded_number_is_made_again(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    (tmp_path / "v.tar").write_bytes(pack_tar(subset.raw))
    settings = config(tmp_path, silver_path="silver", sav_videos_fps_6_download_path="v.tar")
    prepare(settings, "sav")
    name = next(name for name, state in states(settings, "sav").items() if state is State.DONE)
    path = settings.subset("sav").images / name
    before = path.read_bytes()
    other = next(each for each in products(settings, "sav").values() if each != before)
    path.write_bytes(other)
    with Ledger(settings.state) as ledger:
        facts = ledger.facts("sav")
        facts.compared_sha256 = ""
        ledger.set_facts("sav", facts)
        ledger._db.execute(
            "UPDATE items SET facts = NULL, facts_shared = NULL, sha256 = NULL, bytes = ?"
            " WHERE key = ?",
            (len(other), name),
        )
    assert prepare(settings, "sav") == 0
    assert path.read_bytes() == before


def test_annotations_replaced_during_a_run_are_read_by_the_next_one(
    tmp_path: Path,
) -> None:
    class Replaces(Notes):
        def learned(self, subset: str, outcomes: Sequence[Outcome]) -> None:
            annotate(tmp_path, SUBSET, pairs(NAMES, revision=2))

    small = TinySubset(tmp_path)
    annotate(tmp_path, SUBSET, pairs(NAMES[:3]))
    small.notes = Replaces()
    assert small.prepare().code == 3
    small.notes = Notes()
    assert not complete(small.settings)
    assert small.prepare().code == 0
    assert complete(small.settings) and small.kept() == set(NAMES)


def test_verify_reports_new_annotations_and_leaves_the_ledger_alone(tmp_path: Path) -> None:
    small = TinySubset(tmp_path)
    small.prepare()
    annotate(tmp_path, SUBSET, pairs(NAMES[:2], revision=2))
    assert verify.run(small.settings, [SUBSET], small.notes) == 3
    assert not complete(small.settings)
    with pytest.raises(UsageError, match="not the annotation file that was prepared"):
        card.make(small.settings, [SUBSET])
    assert small.sync().results[SUBSET].changes.annotations


# Disks and ledgers that fail


def test_a_disk_that_does_not_answer_has_not_lost_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = TinySubset(tmp_path)
    small.prepare()
    small.holds(set(NAMES) - {LOST}, version=1)
    read = files.sha256_of

    def unwilling(path: Path) -> str:
        if path.name == LOST:
            raise OSError(errno.EIO, "Input/output error")
        return read(path)

    monkeypatch.setattr("saco_data.storage.files.sha256_of", unwilling)
    assert small.sync(full=True).code == 0
    assert small.kept() == set(NAMES) and small.product(LOST).exists()


@pytest.mark.parametrize("brought", [False, True])
def test_sound_files_count_although_ledger_and_archive_are_lost(
    tmp_path: Path, brought: bool
) -> None:
    small = TinySubset(tmp_path)
    if brought:
        for name in NAMES:
            small.product(name).parent.mkdir(parents=True, exist_ok=True)
            small.product(name).write_bytes(PICTURES[name])
    else:
        small.prepare()
        (small.settings.state / "ledger.sqlite").unlink()
    small.tar.unlink()
    small.prepare()
    assert set(states(small.settings, SUBSET).values()) == {State.DONE}
    assert small.prepare().code == 0


def test_verify_removes_unusable_products(tmp_path: Path) -> None:
    small = TinySubset(tmp_path)
    small.prepare()
    small.product(LOST).unlink()
    small.product(LOST).write_bytes(bytes(len(PICTURES[LOST])))
    for _ in range(2):
        assert verify.run(small.settings, [SUBSET], small.notes) == 3
        assert not small.product(LOST).exists()
    assert small.prepare().code == 0


def test_a_file_that_kills_its_worker_does_not_affect_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from concurrent.futures import Future

    from saco_data.executors import WorkerLost

    class Dying(InlineExecutor):
        def submit(
            self, function: Callable[..., Any], *arguments: Any, seconds: float
        ) -> Future[Any]:
            if any(check.path.name == LOST for check in arguments[0]):
                future: Future[Any] = Future()
                future.set_exception(WorkerLost("worker process died"))
                return future
            return super().submit(function, *arguments, seconds=seconds)

    small = TinySubset(tmp_path)
    small.prepare()
    monkeypatch.setattr("saco_data.executors.make", lambda _: Dying())
    assert verify.run(small.settings, [SUBSET], small.notes) == 3
    assert items(small.settings, SUBSET)[LOST].reason is Reason.WORKER_CRASHED
    assert list(states(small.settings, SUBSET).values()).count(State.DONE) == len(NAMES) - 1


# Another version at the source


@pytest.mark.parametrize("how", ["unavailable", "gone", "no video", "shorter"])
def test_an_unusable_new_version_leaves_the_finished_products(
    tmp_path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    subset = build_one(tmp_path, "droid")
    videos = {f"/g/{name}": video for name, video in subset.raw.items()}
    (changed, good), (_, other), *_ = videos.items()
    with FileServer(videos) as server:
        endpoints = {"droid_https": f"{server.url}/g"}
        settings = config(tmp_path, silver_path="silver", endpoints=endpoints)
        now = [START]
        prepare(settings, "droid", clock=lambda: now[0])
        before, known = products(settings, "droid"), states(settings, "droid")
        raw = {
            path.name: path.read_bytes()
            for path in settings.subset("droid").raw_folder.rglob("*.mp4")
        }
        server.files[changed] = {"no video": bytes(5000), "shorter": _first_frames(good, 8)}.get(
            how, other
        )
        asked = folders.park_old_raw

        def then_fails(path: Path) -> None:
            asked(path)
            if how == "unavailable":
                server.faults = Faults(kinds=(Fault.UNAVAILABLE,), probability=1)
            elif how == "gone":
                del server.files[changed]

        monkeypatch.setattr("saco_data.storage.folders.park_old_raw", then_fails)
        followed = sync(
            settings, ["droid"], Notes(), clock=lambda: now[0], executor=InlineExecutor()
        )
        assert len(followed.checked["droid"].followed) == 1
        assert products(settings, "droid") == before
        assert states(settings, "droid") == known
        if how != "shorter":
            folder = settings.subset("droid").raw_folder
            assert {path.name: path.read_bytes() for path in folder.rglob("*.mp4")} == raw
        # The new version is still tried by the next sync.
        server.faults = Faults(probability=0)
        server.files[changed] = other
        monkeypatch.setattr("saco_data.storage.folders.park_old_raw", asked)
        for _ in range(2):
            now[0] += 2 * DAY
            sync(settings, ["droid"], Notes(), clock=lambda: now[0], executor=InlineExecutor())
        assert products(settings, "droid") != before


def _first_frames(video: bytes, count: int) -> bytes:
    out = io.BytesIO()
    with av.open(io.BytesIO(video), "r") as source, av.open(out, "w", format="mp4") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.dts is not None and number < count:
                packet.stream = stream
                target.mux(packet)
    return out.getvalue()


def test_a_parked_raw_file_returns_after_a_kill(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"old")
    (tmp_path / "b.mp4").write_bytes(b"old")
    folders.park_old_raw(tmp_path / "a.mp4")
    folders.park_old_raw(tmp_path / "b.mp4")
    (tmp_path / "b.mp4").write_bytes(b"new")
    folders.sweep(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a.mp4": b"old",
        "b.mp4": b"new",
    }


# Changes by users


@pytest.mark.parametrize("first", ["list", "annotations"])
def test_runs_from_a_list_and_from_annotations_share_products(tmp_path: Path, first: str) -> None:
    with FileServer({"/b.tar": archive(NAMES)}) as server:
        small = TinySubset(tmp_path, raw=f"{server.url}/b.tar")
        listed = {name: Product(name, 0, 0) for name in NAMES}
        index = Index(small.settings.subset(SUBSET).images, "digest of the list", listed, 5, 0)

        def by_list() -> int:
            settings, executor = small.settings, InlineExecutor()
            indices = {SUBSET: index}
            return session.go(
                settings, [SUBSET], "x", Notes(), indices=indices, executor=executor
            ).code

        assert (by_list() if first == "list" else small.prepare().code) == 0
        server.files["/b.tar"] = archive(NAMES[3:], version=1)
        assert (small.prepare().code if first == "list" else by_list()) == 0
    assert set(products(small.settings, SUBSET)) == set(NAMES)
    assert set(states(small.settings, SUBSET).values()) == {State.DONE}


def test_a_file_from_the_user_may_have_other_bytes(tmp_path: Path) -> None:
    small = TinySubset(tmp_path)
    small.prepare()
    small.product(LOST).unlink()
    small.holds(set(NAMES) - {LOST}, version=1)
    small.prepare()
    brought = io.BytesIO()
    Image.open(io.BytesIO(PICTURES[LOST])).save(brought, "JPEG", quality=90)
    small.product(LOST).write_bytes(brought.getvalue())
    assert small.prepare().code == 0
    assert small.product(LOST).read_bytes() == brought.getvalue()


def test_a_wrong_address_and_a_broken_connection_prune_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from saco_data.model.errors import Incomplete
    from saco_data.sources.archives import ArchiveSource

    small = TinySubset(tmp_path)
    small.holds([])
    fetch = ArchiveSource.fetch

    def breaks(self: ArchiveSource, *arguments: object) -> object:
        for number, each in enumerate(fetch(self, *arguments)):  # type: ignore[arg-type]
            if number == 3:
                raise Incomplete("connection lost")
            yield each

    monkeypatch.setattr(ArchiveSource, "fetch", breaks)
    assert small.prepare().code == 4
    assert small.kept() == set(NAMES)


@pytest.mark.parametrize("keys", [{}, {"update_annotation_bdd100k": False}])
def test_a_copy_without_files_is_not_complete(tmp_path: Path, keys: dict[str, Any]) -> None:
    small = TinySubset(tmp_path, **keys)
    small.holds([])
    assert small.prepare().code == 4
    assert not complete(small.settings)
    assert not card.make(small.settings, [SUBSET]).complete


def test_a_changed_pruning_policy_makes_a_subset_unfinished(tmp_path: Path) -> None:
    for may_prune, code in ((True, 3), (False, 0), (True, 3)):
        small = TinySubset(tmp_path, gone_confirm_hours=48, update_annotation_bdd100k=may_prune)
        small.holds(set(NAMES) - {LOST})
        assert small.prepare().code == code
        assert complete(small.settings) == (code == 0)
        assert card.make(small.settings, [SUBSET]).complete == (code == 0)


def test_a_finished_copy_needs_no_links_file(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "sav")
    with FileServer({"/videos_fps_6.tar": pack_tar(subset.raw)}) as server:
        links = tmp_path / "links.txt"
        link = f"{server.url}/videos_fps_6.tar"
        links.write_text(f"file_name\tcdn_link\nvideos_fps_6.tar\t{link}\n")
        settings = config(tmp_path, silver_path="silver", sav_links_file="links.txt")
        assert prepare(settings, "sav") == 0
        links.unlink()
        assert prepare(settings, "sav") == 0
        made = products(settings, "sav")
        for name in made:
            (settings.subset("sav").images / name).unlink()
        stages = Stages(fetch=False)
        session.go(settings, ["sav"], "process", Notes(), stages=stages, executor=InlineExecutor())
        assert products(settings, "sav") == made


def test_an_error_in_one_subset_does_not_end_the_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = TinySubset(tmp_path)
    small.prepare()
    small.product(LOST).unlink()
    with Ledger(small.settings.state) as ledger:
        facts = ledger.facts(SUBSET)
        facts.revision = "one"
        ledger.set_facts(SUBSET, facts)

    def refused(*_: object) -> None:
        raise OutputError("cannot write", item="annotations")

    monkeypatch.setattr("saco_data.sources.annotation_files.Annotations.from_hub", refused)
    assert small.sync().code == 2
    assert small.product(LOST).exists()
