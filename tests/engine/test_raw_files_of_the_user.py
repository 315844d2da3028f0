"""Raw files of the user stay as they are; ours go only once another copy has arrived."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from saco_data.config.settings import Settings
from saco_data.engine import session
from saco_data.engine.events import Stages
from saco_data.engine.subset import bind_one
from saco_data.model.items import Item
from saco_data.model.reasons import Reason, State
from saco_data.report.warnings_to_notes import Warnings
from saco_data.sandbox.http_server import Fault, Faults, FileServer
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.recipe import MiniatureSubset
from saco_data.sandbox.youtube import Fault as YoutubeFault
from saco_data.storage import fetched
from tests.engine.test_video_pipeline import videos
from tests.helpers.executor import InlineExecutor
from tests.helpers.names import VIDEO_SUBSETS
from tests.helpers.pipeline import Notes, items, states
from tests.helpers.pipeline import prepare as prepare_in_processes
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset, archive

PROCESS = Stages(fetch=False)
DAMAGED = {
    "no moov": b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(4000),
    "a page": b"<html>no</html>" * 99,
}


def prepare(settings: Settings, name: str, notes: Notes, stages: Stages | None = None) -> int:
    """Runs as the command does: warnings become notes."""
    warnings = Warnings(notes)
    warnings.listen()
    try:
        return session.go(
            settings, [name], "x", notes, stages=stages, executor=InlineExecutor()
        ).code
    finally:
        warnings.close()


def own_video(settings: Settings, subset: MiniatureSubset, content: bytes) -> tuple[str, Path]:
    """Puts a raw video of the user where the official scripts look for it: its key and path."""
    key = next(key for key, name in subset.raw_name.items() if name in subset.raw)
    path = bind_one(settings, subset.name).source.raw_path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return key, path


def reasons(settings: Settings, name: str, key: str) -> set[Reason]:
    """The reasons of the frames of a video."""
    return {item.reason for item in frames(settings, name, key).values()}


def frames(settings: Settings, name: str, key: str) -> dict[str, Item]:
    """The frames of a video in the ledger."""
    stem = key.removesuffix(".mp4")
    return {each: item for each, item in items(settings, name).items() if each.startswith(stem)}


def close(mounts: Mounts, name: str, closed: bool) -> None:
    """Closes the source of a subset, as its real one does, or opens it again."""
    if name == "ego4d":
        mounts.servers["ego4d"].gate.all = "ExpiredToken" if closed else ""
    elif name == "yt1b":
        mounts.servers["yt1b"].everything = YoutubeFault.BOT_CHECK if closed else None
    else:
        server = mounts.server if name == "sav" else mounts.servers[name]
        server.faults = Faults(kinds=(Fault.EXPIRED,), probability=1) if closed else None


def stays(path: Path, content: bytes, before: os.stat_result) -> bool:
    """Whether a file was neither removed, renamed nor written."""
    after = path.stat()
    same = (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    return same and path.read_bytes() == content


@pytest.mark.parametrize("damage", DAMAGED)
@pytest.mark.parametrize("name", VIDEO_SUBSETS)
def test_a_damaged_video_of_the_user_stays(tmp_path: Path, name: str, damage: str) -> None:
    content, bad = DAMAGED[damage], {Reason.CORRUPT_VIDEO}
    with videos(tmp_path, only=(name,)) as (mounts, settings, subsets):
        key, path = own_video(settings, subsets[name], content)
        before, notes = path.stat(), Notes()
        # `process` fetches nothing and deletes nothing.
        assert prepare(settings, name, notes, PROCESS) == 3
        assert stays(path, content, before) and reasons(settings, name, key) == bad
        # The source is closed.
        close(mounts, name, closed=True)
        assert prepare(settings, name, notes) == 4
        assert stays(path, content, before) and reasons(settings, name, key) == bad
        for item in frames(settings, name, key).values():
            assert "another copy could not be fetched" in item.detail
        # The source is open: another copy goes beside it.
        close(mounts, name, closed=False)
        notes.lines.clear()
        assert prepare(settings, name, notes) == 0
        assert stays(path, content, before) and reasons(settings, name, key) == {Reason.OK}
        (told,) = [line for line in notes.lines if str(path) in line]
        assert "did not fetch it" in told and "fetched_again" in told
        # From now on that copy is used.
        for each in settings.subset(name).images.rglob("*.jpg"):
            each.unlink()
        prepare(settings, name, notes, PROCESS)
        assert stays(path, content, before) and reasons(settings, name, key) == {Reason.OK}


@pytest.mark.parametrize("name", VIDEO_SUBSETS)
def test_a_sound_video_of_the_user_is_used_and_not_removed(tmp_path: Path, name: str) -> None:
    keys = {f"remove_downloaded_videos_{name}": True}
    with videos(tmp_path, only=(name,), **keys) as (_, settings, subsets):
        content = next(iter(subsets[name].raw.values()))
        _, path = own_video(settings, subsets[name], content)
        before = path.stat()
        for _ in range(2):
            assert prepare(settings, name, Notes()) == 0
            assert stays(path, content, before)
        assert list(path.parent.glob("*.mp4")) == [path]


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("fate", ["returns", "closed", "unsound again"])
def test_what_we_fetched_goes_once_another_copy_has_arrived(
    tmp_path: Path, ours: bool, fate: str
) -> None:
    with videos(tmp_path, only=("droid",)) as (mounts, settings, subsets):
        notes = Notes()
        assert prepare(settings, "droid", notes) == 0
        key = next(
            key for key, raw in subsets["droid"].raw_name.items() if raw in subsets["droid"].raw
        )
        path = settings.subset("droid").raw_folder / key
        assert fetched.is_fetched(path)
        status = path.stat()
        path.write_bytes(bytes(status.st_size))
        if ours:  # damaged by the disk
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        damaged = path.read_bytes()
        for each in settings.subset("droid").images.rglob("*.jpg"):
            each.unlink()
        server = mounts.servers["droid"]
        if fate == "closed":
            close(mounts, "droid", closed=True)
        elif fate == "unsound again":
            for name in (bucket := server.buckets["gresearch"]):
                bucket[name] = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(4000)
        notes.lines.clear()
        code = prepare(settings, "droid", notes)
        assert any(str(path) in line for line in notes.lines)
        if fate == "returns":
            assert code == 0
            assert (path.read_bytes() == damaged) is not ours
        else:
            assert code in (3, 4)
            assert path.read_bytes() == damaged
            assert reasons(settings, "droid", key) == {Reason.CORRUPT_VIDEO}
        assert not list(path.parent.glob(".*.saco-old"))


def test_a_read_only_folder_with_a_bad_video_gives_the_sound_ones(tmp_path: Path) -> None:
    with videos(tmp_path, only=("sav",)) as (_, settings, subsets):
        assert prepare(settings, "sav", Notes()) == 0
        folder = settings.subset("sav").raw_folder
        key, path = own_video(settings, subsets["sav"], DAMAGED["no moov"])
        before = path.stat()
        for each in settings.subset("sav").images.rglob("*.jpg"):
            each.unlink()
        how = ["mount", "--bind", str(folder), str(folder)]
        if subprocess.run(how, check=False).returncode:
            pytest.skip("cannot mount a read-only folder here")
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
            notes = Notes()
            assert prepare(settings, "sav", notes) == 3
        finally:
            subprocess.run(["umount", folder], check=True)
        assert stays(path, DAMAGED["no moov"], before)
        assert reasons(settings, "sav", key) == {Reason.CORRUPT_VIDEO}
        counts = list(states(settings, "sav").values())
        assert counts.count(State.DONE) == 6 and counts.count(State.FAILED) == 3
        assert any("cannot be written" in line for line in notes.lines)


@pytest.mark.parametrize("stages", [None, PROCESS], ids=["prepare", "process"])
def test_a_damaged_picture_of_the_user_stays(tmp_path: Path, stages: Stages | None) -> None:
    from saco_data.sandbox.http_server import FileServer

    with FileServer({"/b.tar": archive(NAMES)}) as server:
        small = TinySubset(tmp_path, raw=f"{server.url}/b.tar")
        path = small.settings.subset(SUBSET).raw_folder / NAMES[0]
        path.parent.mkdir(parents=True)
        path.write_bytes(DAMAGED["a page"])
        before = path.stat()
        assert small.prepare(stages=stages).code == (3 if stages else 0)
    assert stays(path, DAMAGED["a page"], before)


def test_a_picture_whose_product_is_damaged_stays(tmp_path: Path) -> None:
    """Raw file and product may be one file: only the product's name is ours to remove."""
    from saco_data.engine import verify
    from saco_data.sandbox.http_server import FileServer

    with FileServer({"/b.tar": archive(NAMES)}) as server:
        small = TinySubset(tmp_path, raw=f"{server.url}/b.tar")
        small.prepare()
        path = small.settings.subset(SUBSET).raw_folder / NAMES[0]
        assert path.samefile(small.product(NAMES[0]))
        path.write_bytes(path.read_bytes() + b"edited by the user")
        assert verify.run(small.settings, [SUBSET], small.notes) == 3
        assert path.exists() and not small.product(NAMES[0]).exists()
        assert small.prepare().code == 0
        assert path.read_bytes().endswith(b"edited by the user")


def test_a_run_in_processes_keeps_the_user_s_video_too(tmp_path: Path) -> None:
    with videos(tmp_path, only=("droid",)) as (_, settings, subsets):
        _, path = own_video(settings, subsets["droid"], DAMAGED["no moov"])
        assert prepare_in_processes(settings, "droid") == 0
    assert path.read_bytes() == DAMAGED["no moov"]


def test_a_product_that_is_the_damaged_raw_file_does_not_keep_its_name(tmp_path: Path) -> None:
    """One file with two names is cut, and the ledger that knew its size is lost."""
    with FileServer({"/bdd100k.tar": archive(NAMES)}) as server:
        tiny = TinySubset(tmp_path, raw=f"{server.url}/bdd100k.tar")
        assert tiny.prepare().code == 0
        product = tiny.product(NAMES[0])
        raw = tiny.settings.subset(SUBSET).raw_folder / NAMES[0]
        assert product.samefile(raw)
        content = product.read_bytes()[:-40]
        product.write_bytes(content)
        (tiny.settings.state / "ledger.sqlite").unlink()
        server.faults = Faults(kinds=(Fault.EXPIRED,), probability=1)
        assert tiny.prepare().code != 0
    assert not product.exists()
    assert raw.read_bytes() == content
