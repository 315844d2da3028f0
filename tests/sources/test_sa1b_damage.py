"""SA-1B with damage: at its source, on the way, on the disk, and in hostile files."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from saco_data.engine import session, sync, verify
from saco_data.engine.events import Stages
from saco_data.executors import WorkerLost
from saco_data.media import process
from saco_data.model.reasons import Reason, State
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar
from saco_data.storage import picture_folders
from tests.helpers.damaged_tars import TAILS, damage_tail
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import write_files
from tests.helpers.pipeline import Notes, items, prepare, products
from tests.helpers.sa1b import (
    TRAIN,
    archive,
    asked,
    configured,
    damaged,
    expected,
    files_of,
    inventory,
    name_of,
    offer,
    shard,
)


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    with serve(tmp_path / "served", {TRAIN: build_subset(TRAIN)}) as served:
        yield served


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("kind", ["links", "tars"])
def test_a_shard_that_was_published_damaged(
    mounts: Mounts, kind: str, tail: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The md5 is right: what is before the damage is used, and the source is named."""
    whole, last = pack_tar(shard(1)), list(shard(1))[-1]
    content = damage_tail(whole, last, tail)
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    listed = f"{md5}  {archive(1)}\n".encode()
    keys: dict[str, Any] = {}
    if kind == "links":
        offer(mounts, 1, content)
        mounts.write("checklist.chk", listed)
    else:
        given = {archive(1): content, "checklist.chk": listed}
        write_files(mounts.folder.parent / "given", given)
        keys = {"raw": {"train": "given"}, "links_file": None}
    settings = configured(mounts, shards=[1], **keys)
    assert prepare(settings, TRAIN) == 0
    own = shard(1)
    del own[last]
    assert files_of(settings) == expected(own)
    assert "damaged at its source; the 7 files before the damage are used" in caplog.text
    header = inventory(settings, 1).header
    assert (header.pictures, header.annotations, header.damaged) == (4, 3, 0)


def test_a_damaged_shard_without_a_checksum_is_read_on_later(mounts: Mounts) -> None:
    whole = pack_tar(shard(1))
    offer(mounts, 1, whole[: len(whole) // 2])
    settings = configured(mounts)
    assert prepare(settings, TRAIN) == 3
    assert files_of(settings).keys() >= expected(shard(0), shard(2)).keys()
    assert items(settings, TRAIN)["inventories/sa_000001.jsonl"].reason is Reason.ARCHIVE_DAMAGED
    offer(mounts, 1, whole)
    assert prepare(settings, TRAIN) == 0
    assert files_of(settings) == expected(*map(shard, range(3)))
    assert not settings.subset(TRAIN).unpacked.exists()


def test_a_shard_that_is_missing_is_not_gone(mounts: Mounts) -> None:
    cdn: LinksCdn = mounts.servers["sa1b"]
    right = cdn.contents.pop(archive(1))
    settings = configured(mounts)
    assert prepare(settings, TRAIN) == 3
    assert items(settings, TRAIN)["inventories/sa_000001.jsonl"].state is State.FAILED
    cdn.offer(archive(1), right)
    assert prepare(settings, TRAIN) == 0
    assert files_of(settings) == expected(*map(shard, range(3)))


def spoil(change: str) -> bytes:
    """The JSON of the first picture of shard 1, spoilt."""
    name = name_of(1, 0)
    content = json.loads(shard(1)[f"sa_000001/{name}.json"])
    mask = content["annotations"][0]["segmentation"]
    if change == "no JSON":
        return b"\xff\xfe<html>"
    if change == "deep":
        return b"[" * 100_000
    if change == "another picture":
        content["image"]["file_name"] = "../../sa_1.jpg"
    elif change == "another size":
        mask["size"] = [121, 160]
    elif change == "RLE too long":
        mask["counts"] += "1"
    elif change == "RLE negative":
        mask["counts"] = "O" + mask["counts"]
    elif change == "RLE of no letters":
        mask["counts"] = "\u00e9\n"
    elif change == "half a character":
        mask["counts"] = "\ud800" + mask["counts"]
    elif change == "no list":
        content["annotations"] = {"0": content["annotations"][0]}
    elif change == "huge":
        content["image"] |= {"width": 1 << 40, "height": 1 << 40}
    elif change == "infinite":
        content["image"]["width"] = float("inf")
    return json.dumps(content).encode()


HOSTILE = (
    *("no JSON", "deep", "another picture", "another size", "RLE too long", "RLE negative"),
    *("RLE of no letters", "half a character", "no list", "huge", "infinite"),
)


@pytest.mark.parametrize("change", HOSTILE)
def test_annotations_that_cannot_be_right_are_named(
    mounts: Mounts, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    name = name_of(1, 0)
    own = {**shard(1), f"sa_000001/{name}.json": spoil(change)}
    offer(mounts, 1, pack_tar(own))
    settings = configured(mounts, shards=[1])
    assert prepare(settings, TRAIN) == 0
    assert damaged(settings, 1) == {f"annotations/{name}.json": "wrong_digest"}
    right = expected(own)
    del right[f"annotations/{name}.json"]
    assert files_of(settings) == right
    assert "1 of its 8 files are damaged at the source" in caplog.text and name in caplog.text
    requests = sum(mounts.server.requests.values())
    assert prepare(settings, TRAIN) == 0
    assert sum(mounts.server.requests.values()) == requests


@pytest.mark.parametrize("how", ["cut", "no picture", "another size"])
def test_a_picture_that_is_damaged_at_its_source_is_named(mounts: Mounts, how: str) -> None:
    own = shard(1)
    name = name_of(1, 2)
    content = own[f"sa_000001/{name}.jpg"]
    other = io.BytesIO()
    Image.new("RGB", (100, 100)).save(other, "JPEG")
    changed = {"cut": content[:-500], "no picture": b"<html>", "another size": other.getvalue()}
    own[f"sa_000001/{name}.jpg"] = changed[how]
    offer(mounts, 1, pack_tar(own))
    settings = configured(mounts)
    notes = Notes()
    assert prepare(settings, TRAIN, notes=notes) == 0
    reason = {"cut": "corrupt_image", "no picture": "not_media", "another size": "wrong_size"}
    assert damaged(settings, 1) == {f"images/{name}.jpg": reason[how]}
    assert f"images/{name}.jpg" not in files_of(settings)
    assert "1 files are damaged at the source" in notes.lines[0]


def test_members_that_may_not_be_taken_are_named(mounts: Mounts) -> None:
    buffer = io.BytesIO()
    name = name_of(1, 0)
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        link = tarfile.TarInfo(f"sa_000001/{name}.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        packed.addfile(link)
        outside = tarfile.TarInfo("../../sa_7.jpg")
        outside.size = 3
        packed.addfile(outside, io.BytesIO(b"abc"))
        for member, content in shard(1).items():
            if member != link.name:
                info = tarfile.TarInfo(member)
                info.size = len(content)
                packed.addfile(info, io.BytesIO(content))
    offer(mounts, 1, buffer.getvalue())
    settings = configured(mounts, shards=[1])
    assert prepare(settings, TRAIN) == 0
    assert damaged(settings, 1) == {
        f"images/{name}.jpg": "archive_damaged",
        "images/sa_7.jpg": "archive_damaged",
    }
    assert len(files_of(settings)) == 7


def test_two_shards_with_one_name_do_not_overwrite_each_other(mounts: Mounts) -> None:
    name = f"images/{name_of(0, 0)}.jpg"
    other = shard(1)[f"sa_000001/{name_of(1, 0)}.jpg"]
    offer(mounts, 1, pack_tar({**shard(1), f"sa_000001/{Path(name).name}": other}))
    settings = configured(mounts)
    assert prepare(settings, TRAIN) == 0
    right, found = expected(*map(shard, range(3))), files_of(settings)
    assert found.pop(name) in (right.pop(name), other)
    assert found == right
    # The one that came first is used, and no inventory says anything else.
    assert verify.run(settings, [TRAIN], Notes()) == 0


def test_an_archive_of_something_else_is_named(mounts: Mounts) -> None:
    offer(mounts, 1, pack_tar({"videos/sav_000001.mp4": b"0" * 100}))
    settings = configured(mounts, shards=[1])
    assert prepare(settings, TRAIN) == 3
    (item,) = items(settings, TRAIN).values()
    assert "no picture and no annotations of SA-1B" in item.detail


def test_what_was_unpacked_is_published_by_the_next_run(mounts: Mounts) -> None:
    settings = configured(mounts)
    assert prepare(settings, TRAIN, stages=Stages(process=False)) == 0
    own = settings.subset(TRAIN)
    assert not list(own.watched.glob("*")) and len(list(own.unpacked.rglob("*.jpg"))) == 12
    requests = sum(mounts.server.requests.values())
    # One rots meanwhile: it is taken out of its archive once more.
    rotten = own.unpacked / f"sa_000002/images/{name_of(2, 1)}.jpg"
    rotten.write_bytes(rotten.read_bytes()[:-300])
    assert prepare(settings, TRAIN) == 0
    assert asked(mounts, 2) > 1 and sum(mounts.server.requests.values()) > requests
    assert files_of(settings) == expected(*map(shard, range(3)))
    assert not own.unpacked.exists()


@pytest.mark.parametrize("how", ["lost", "flipped"])
@pytest.mark.parametrize("by", ["verify", "sync"])
def test_a_file_that_rots_is_found_and_fetched_alone(mounts: Mounts, how: str, by: str) -> None:
    settings = configured(mounts)
    assert prepare(settings, TRAIN) == 0
    right = products(settings, TRAIN)
    path = settings.subset(TRAIN).images / f"annotations/{name_of(1, 0)}.json"
    if how == "lost":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes().replace(b"0.95", b"0.96"))
    others = {each: each.stat().st_ino for each in path.parent.iterdir() if each != path}
    before = asked(mounts, 0)
    notes = Notes()
    if by == "verify":
        assert verify.check(settings, [TRAIN], notes) == 3
        assert path.exists() == (how != "lost")
        assert verify.run(settings, [TRAIN], notes) == 3
        assert any("1 of its files" in line and path.name in line for line in notes.lines)
        assert prepare(settings, TRAIN) == 0
    else:
        synced = sync.sync(settings, [TRAIN], notes)
        assert synced.code == 0
        assert synced.checked[TRAIN].rotten == ["inventories/sa_000001.jsonl"]
    assert products(settings, TRAIN) == right
    assert {each: each.stat().st_ino for each in others} == others
    assert asked(mounts, 0) == before
    assert verify.run(settings, [TRAIN], Notes()) == 0


def test_a_file_that_cannot_be_read_now_stays(
    mounts: Mounts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = configured(mounts)
    assert prepare(settings, TRAIN) == 0
    right = products(settings, TRAIN)
    usual = picture_folders.sha256_of

    def sha256_of(path: Path) -> str:
        if path.stem == name_of(1, 0):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return usual(path)

    monkeypatch.setattr(picture_folders, "sha256_of", sha256_of)
    synced = sync.sync(settings, [TRAIN], Notes())
    assert synced.code == 0 and not synced.checked[TRAIN].rotten
    assert f"{name_of(1, 0)}.json cannot be read" in caplog.text
    assert products(settings, TRAIN) == right


@pytest.mark.parametrize("how", ["cut", "empty", "version", "outside"])
def test_an_inventory_that_is_damaged_is_made_again(mounts: Mounts, how: str) -> None:
    settings = configured(mounts, shards=[1])
    assert prepare(settings, TRAIN) == 0
    right = products(settings, TRAIN)
    path = settings.subset(TRAIN).images / "inventories/sa_000001.jsonl"
    content = path.read_bytes()
    outside = content.replace(b'"name":"images/sa_', b'"name":"../../../sa_', 1)
    changed = {
        "cut": content[:-10],
        "empty": b"",
        "version": content.replace(b'"version":1', b'"version":9'),
        "outside": outside,
    }
    path.write_bytes(changed[how])
    shutil.rmtree(settings.state)
    assert prepare(settings, TRAIN) == 0
    assert products(settings, TRAIN) == right


class Crashing(InlineExecutor):
    """Its worker ends whenever it reads the file of this name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def submit(self, function: Any, *arguments: Any, seconds: float) -> Future[Any]:
        checks = arguments[0]
        if function is process.check and any(each.path.name == self.name for each in checks):
            future: Future[Any] = Future()
            future.set_exception(WorkerLost("the worker died"))
            return future
        return super().submit(function, *arguments, seconds=seconds)


def test_a_file_that_ends_its_worker_is_looked_at_again(mounts: Mounts) -> None:
    """The other files of its shard are used meanwhile."""
    settings = configured(mounts, shards=[1])
    name = f"{name_of(1, 1)}.jpg"
    for _ in range(2):
        assert session.go(settings, [TRAIN], "test", Notes(), executor=Crashing(name)).code == 3
        (item,) = items(settings, TRAIN).values()
        assert item.reason is Reason.WORKER_CRASHED and name in item.detail
        assert damaged(settings, 1) == {f"images/{name}": "worker_crashed"}
        assert len(files_of(settings)) == 7
    assert prepare(settings, TRAIN) == 0
    assert files_of(settings) == expected(shard(1))
    assert damaged(settings, 1) == {}


class Overtaken(InlineExecutor):
    """Before it checks the first file, another machine publishes all that was unpacked."""

    def __init__(self, unpacked: Path, images: Path) -> None:
        self.unpacked = unpacked
        self.images = images
        self.published: dict[Path, int] = {}

    def submit(self, function: Any, *arguments: Any, seconds: float) -> Future[Any]:
        if self.unpacked.exists():
            shutil.copytree(self.unpacked, self.images, dirs_exist_ok=True)
            shutil.rmtree(self.unpacked)
            self.published = {each: each.stat().st_ino for each in self.images.rglob("sa_*.jp*")}
        return super().submit(function, *arguments, seconds=seconds)


def test_what_another_machine_published_meanwhile_stays(mounts: Mounts) -> None:
    settings = configured(mounts, shards=[1])
    assert prepare(settings, TRAIN, stages=Stages(process=False)) == 0
    own = settings.subset(TRAIN)
    executor = Overtaken(own.unpacked / "sa_000001", own.images)
    assert session.go(settings, [TRAIN], "test", Notes(), executor=executor).code == 0
    assert files_of(settings) == expected(shard(1))
    assert damaged(settings, 1) == {}
    assert len(executor.published) == 4
    assert {each: each.stat().st_ino for each in executor.published} == executor.published
