"""SA-1B: whole tars as items, their files in flat folders, and an inventory of each."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pycocotools import mask as coding

from saco_data.config.settings import Settings
from saco_data.dataset import sa1b_json
from saco_data.engine import forecast, push, session, sync, verify
from saco_data.engine.events import Stages
from saco_data.executors import WorkerLost
from saco_data.media import process
from saco_data.model.errors import ConfigError, UsageError
from saco_data.model.reasons import Reason, State
from saco_data.planning.costs import Costs
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar, pack_tar_gz
from saco_data.sandbox.recipes.sa1b import LINKS, renew
from saco_data.sources import make
from saco_data.storage import shard_inventory
from saco_data.storage.shard_inventory import ShardInventory
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import config, tree, write_files
from tests.helpers.pipeline import Notes, items, prepare, products

TRAIN = "sa1b/train"
Members = dict[str, bytes]


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    with serve(tmp_path / "served", {TRAIN: build_subset(TRAIN)}) as served:
        yield served


def configured(mounts: Mounts, **keys: Any) -> Settings:
    own = {**mounts.keys["collections"]["sa1b"], "path": "sa1b", **keys}
    return config(mounts.folder.parent, collections={"sa1b": own})


def shard(number: int) -> Members:
    """The members of a shard: a picture, then its JSON, four times."""
    raw = build_subset(TRAIN).raw
    return {name: content for name, content in raw.items() if name.startswith(f"sa_{number:06d}/")}


def archive(number: int) -> str:
    return f"sa_{number:06d}.tar"


def expected(*members: Members) -> Members:
    """The products of these members, without inventories."""
    return {
        f"{'images' if name.endswith('.jpg') else 'annotations'}/{Path(name).name}": content
        for each in members
        for name, content in each.items()
        if name.endswith((".jpg", ".json"))
    }


def files_of(settings: Settings) -> Members:
    """All products without inventories."""
    found = products(settings, TRAIN)
    return {name: content for name, content in found.items() if name[-5:] != "jsonl"}


def inventory(settings: Settings, number: int) -> ShardInventory:
    path = settings.subset(TRAIN).images / f"inventories/sa_{number:06d}.jsonl"
    return shard_inventory.read(path)


def damaged(settings: Settings, number: int) -> dict[str, str]:
    """The reasons of the files of a shard that are not used."""
    found = inventory(settings, number).files
    return {name: each.reason for name, each in found.items() if each.reason != Reason.OK}


def offer(mounts: Mounts, number: int, content: bytes) -> None:
    """Publishes another archive for a shard."""
    cdn: LinksCdn = mounts.servers["sa1b"]
    cdn.offer(archive(number), content)
    mounts.write(LINKS, renew(cdn))


def asked(mounts: Mounts, number: int) -> int:
    return mounts.server.requests[f"/sa1b/{archive(number)}"]


def test_files_lie_in_flat_folders_with_an_inventory_a_shard(mounts: Mounts) -> None:
    settings = configured(mounts)
    notes = Notes()
    assert prepare(settings, TRAIN, notes=notes) == 0
    assert files_of(settings) == expected(*map(shard, range(3)))
    assert "3 shards: 12 pictures, 12 annotation files with" in notes.lines[0]
    own = settings.subset(TRAIN)
    assert not own.unpacked.exists() and not list(own.raw_folder.rglob("*"))
    known = items(settings, TRAIN)
    assert len(known) == 3 and {item.attempts for item in known.values()} == {1}
    for number in range(3):
        found = inventory(settings, number)
        assert {name: each.sha256 for name, each in found.files.items()} == {
            name: hashlib.sha256(content).hexdigest()
            for name, content in expected(shard(number)).items()
        }
        item = known[f"inventories/sa_{number:06d}.jsonl"]
        assert item.facts["masks"] == found.header.masks > 4
    before, requests = tree(settings.root), sum(mounts.server.requests.values())
    assert prepare(settings, TRAIN) == 0
    assert tree(settings.root) == before and sum(mounts.server.requests.values()) == requests


def test_the_loader_of_sam_2_finds_what_it_asks_for(mounts: Mounts) -> None:
    """`SA1BRawDataset`: names of all .jpg in one folder, JSON of the same name in another."""
    settings = configured(mounts)
    assert prepare(settings, TRAIN) == 0
    images, texts = (settings.subset(TRAIN).images / name for name in ("images", "annotations"))
    names = [each.name.split(".")[0] for each in images.iterdir() if each.name.endswith(".jpg")]
    assert len(names) == 12
    for name in names:
        content = json.loads((texts / f"{name}.json").read_text())
        assert content["image"]["image_id"] == int(name.split("_")[-1])
        with Image.open(images / f"{name}.jpg") as picture:
            for each in content["annotations"]:
                assert coding.decode(each["segmentation"]).shape == picture.size[::-1]
                assert coding.area(each["segmentation"]) == each["area"]


def test_another_choice_of_shards_fetches_only_what_is_new(mounts: Mounts) -> None:
    assert prepare(configured(mounts, shards=[1]), TRAIN) == 0
    assert not asked(mounts, 0) and not asked(mounts, 2)
    before = asked(mounts, 1)
    more = configured(mounts, shards=["1-2"])
    assert prepare(more, TRAIN) == 0
    assert asked(mounts, 1) == before and not asked(mounts, 0)
    assert files_of(more) == expected(shard(1), shard(2))


def test_a_shard_that_does_not_exist_is_named(mounts: Mounts) -> None:
    with pytest.raises(ConfigError, match="no shard 1000"):
        make(configured(mounts, shards=["998-1000"]).subset(TRAIN)).archives()


def name_of(number: int, at: int) -> str:
    """The id of a picture of a shard."""
    return [Path(name).stem for name in shard(number) if name.endswith(".jpg")][at]


def test_a_list_of_pictures(mounts: Mounts) -> None:
    chosen = [name_of(0, 2), name_of(2, 0)]
    lines = [chosen[0], f"{chosen[1]}.jpg", "sa_99999999"]
    write_files(mounts.folder.parent, {"ids.txt": "\n".join(lines).encode()})
    settings = configured(mounts, images="ids.txt")
    notes = Notes()
    assert prepare(settings, TRAIN, notes=notes) == 0
    assert "2 of the 3 listed pictures are in them" in notes.lines[0]
    every = expected(*map(shard, range(3)))
    assert files_of(settings) == {
        name: content for name, content in every.items() if Path(name).stem in chosen
    }
    # What each shard gave is kept.
    assert [inventory(settings, number).header.pictures for number in range(3)] == [1, 0, 1]
    requests = sum(mounts.server.requests.values())
    assert prepare(settings, TRAIN) == 0
    assert sum(mounts.server.requests.values()) == requests
    # More pictures, in any form: what is there is not fetched again.
    number = name_of(1, 3).removeprefix("sa_")
    write_files(mounts.folder.parent, {"ids.txt": "\n".join([*lines, number]).encode()})
    kept = settings.subset(TRAIN).images / f"images/{chosen[0]}.jpg"
    stamp = kept.stat()
    more = configured(mounts, images="ids.txt")
    assert prepare(more, TRAIN) == 0
    assert len(files_of(more)) == 6 and kept.stat().st_ino == stamp.st_ino
    assert [inventory(more, each).header.pictures for each in range(3)] == [1, 1, 1]
    everything = configured(mounts)
    assert prepare(everything, TRAIN) == 0
    assert files_of(everything) == every


@pytest.mark.parametrize(
    ("content", "said"), [("sav_000001", "is not the id"), ("", "no picture"), (None, "read")]
)
def test_a_wrong_list_of_pictures_is_named(mounts: Mounts, content: str | None, said: str) -> None:
    if content is not None:
        write_files(mounts.folder.parent, {"ids.txt": content.encode()})
    settings = configured(mounts, images="ids.txt")
    notes = Notes()
    assert prepare(settings, TRAIN, notes=notes) == 2
    assert said in notes.lines[-1]


def test_annotations_alone_and_then_their_pictures(mounts: Mounts) -> None:
    settings = configured(mounts, pictures=False)
    assert prepare(settings, TRAIN) == 0
    every = expected(*map(shard, range(3)))
    texts = {name: content for name, content in every.items() if name.endswith(".json")}
    assert files_of(settings) == texts
    assert inventory(settings, 0).header.choice == "all, annotations only"
    both = configured(mounts)
    assert prepare(both, TRAIN) == 0
    assert files_of(both) == every
    assert inventory(both, 0).header.choice == "all"


@pytest.mark.parametrize("kind", ["tars", "gzips", "folders", "mirror"])
def test_shards_at_hand_are_used(mounts: Mounts, tmp_path: Path, kind: str) -> None:
    given: dict[str, bytes] = {}
    for number in (0, 2):
        own = shard(number)
        if kind == "folders":
            given |= own
        else:
            given[archive(number)] = (pack_tar_gz if kind == "gzips" else pack_tar)(own)
    place = "given"
    if kind == "mirror":
        for name, content in given.items():
            mounts.serve(f"mirror/{name}", content)
        place = f"{mounts.server.url}/mirror"
    write_files(tmp_path / "given", given)
    before = tree(tmp_path / "given")
    keys = {"raw": {"train": place}, "links_file": None}
    settings = configured(mounts, shards=[0, 2], **keys)
    assert prepare(settings, TRAIN) == 0
    assert files_of(settings) == expected(shard(0), shard(2))
    assert tree(tmp_path / "given") == before
    # A shard that is not there is blocked; the others stay done.
    if kind != "mirror":
        more = configured(mounts, shards=["0-2"], **keys)
        assert prepare(more, TRAIN) == 4
        states = [item.state for item in items(more, TRAIN).values()]
        assert sorted(states) == [State.BLOCKED, State.DONE, State.DONE]


def test_a_tar_that_is_really_gzip(mounts: Mounts) -> None:
    offer(mounts, 1, pack_tar_gz(shard(1)))
    settings = configured(mounts)
    assert prepare(settings, TRAIN) == 0
    assert files_of(settings) == expected(*map(shard, range(3)))


@pytest.mark.parametrize("tail", ["in mid-member", "without the end", "noise"])
@pytest.mark.parametrize("kind", ["links", "tars"])
def test_a_shard_that_was_published_damaged(
    mounts: Mounts, kind: str, tail: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The md5 is right: what is before the damage is used, and the source is named."""
    whole, last = pack_tar(shard(1)), list(shard(1))[-1]
    at = whole.rindex(last.encode())
    content = {
        "in mid-member": whole[: at + 600],
        "without the end": whole[:at],
        "noise": whole[:at] + b"\1" * 10240,
    }[tail]
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


def test_a_picture_that_was_removed_makes_a_shard_smaller(mounts: Mounts) -> None:
    own = {name: content for name, content in shard(1).items() if name_of(1, 0) not in name}
    offer(mounts, 1, pack_tar(own))
    settings = configured(mounts)
    notes = Notes()
    assert prepare(settings, TRAIN, notes=notes) == 0
    assert files_of(settings) == expected(shard(0), own, shard(2))
    assert "pictures fewer than published" in notes.lines[0]


def test_links_that_expire_ask_for_new_ones_and_the_rest_goes_on(mounts: Mounts) -> None:
    cdn: LinksCdn = mounts.servers["sa1b"]
    cdn.expire_after = 4
    settings = configured(mounts)
    notes = Notes()
    assert prepare(settings, TRAIN, notes=notes) == 4
    assert "links_file" in notes.lines[-1] and "expired" in notes.lines[-1]
    done = [name for name, item in items(settings, TRAIN).items() if item.state is State.DONE]
    assert done
    mounts.write(LINKS, renew(cdn))
    requests = asked(mounts, 0)
    assert prepare(settings, TRAIN) == 0
    assert asked(mounts, 0) == requests
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


def test_shards_are_known_again_without_the_ledger(mounts: Mounts) -> None:
    settings = configured(mounts)
    assert prepare(settings, TRAIN) == 0
    shutil.rmtree(settings.state)
    before, requests = tree(settings.root), sum(mounts.server.requests.values())
    assert prepare(settings, TRAIN) == 0
    assert tree(settings.root) == before
    assert sum(mounts.server.requests.values()) == requests


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


def test_the_plan_says_what_is_read_and_what_is_kept(mounts: Mounts) -> None:
    def planned(**keys: Any) -> Costs:
        (line,) = forecast.make(configured(mounts, **keys), [TRAIN]).lines
        return line.costs

    costs = planned(shards=None)
    assert costs.fetch.likely == 11_000_000_000_000 == costs.peak.likely
    assert costs.kept == {"pictures": 10_300_000_000_000, "annotations": 700_000_000_000}
    assert costs.seconds / 3600 == pytest.approx(244, abs=1)
    assert planned(shards=["0-9"]).fetch.likely == 110_000_000_000
    texts = planned(shards=["0-9"], pictures=False)
    assert texts.fetch.likely == 110_000_000_000
    assert texts.kept == {"annotations": 7_000_000_000} and texts.peak.likely == 7_000_000_000
    write_files(mounts.folder.parent, {"ids.txt": b"1\n2\n"})
    assert sum(planned(shards=None, images="ids.txt").kept.values()) < 3_000_000
    settings = configured(mounts)
    assert prepare(settings, TRAIN) == 0
    assert planned(shards=["0-2"]).fetch.likely == 0
    # The listing names shards that are not here yet.
    assert planned(shards=["0-4"]).fetch.likely == 22_000_000_000


def test_it_is_not_passed_on(mounts: Mounts, tmp_path: Path) -> None:
    settings = configured(mounts, shards=[0])
    assert prepare(settings, TRAIN) == 0
    with pytest.raises(UsageError, match="licence"):
        push.push(settings, str(tmp_path / "place"), [TRAIN])
    assert not (tmp_path / "place").exists()


def test_annotations_say_what_the_release_says() -> None:
    name = next(name for name in shard(0) if name.endswith(".json"))
    content = json.loads(shard(0)[name])
    found = sa1b_json.parse(shard(0)[name], Path(name))
    assert (found.width, found.height) == (160, 120)
    for mask, said in zip(found.masks, content["annotations"], strict=True):
        assert int(mask.mask.sum()) == mask.area == said["area"]
        assert list(mask.box) == said["bbox"] and mask.rle == said["segmentation"]
    assert found.find_damage() == ""


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
