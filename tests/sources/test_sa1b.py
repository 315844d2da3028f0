"""SA-1B: whole tars as items, their files in flat folders, and an inventory of each."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pycocotools import mask as coding

from saco_data.dataset import sa1b_json
from saco_data.engine import forecast, push
from saco_data.model.errors import ConfigError, UsageError
from saco_data.model.reasons import State
from saco_data.planning.costs import Costs
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar, pack_tar_gz
from saco_data.sandbox.recipes.sa1b import LINKS, renew
from saco_data.sources import make
from tests.helpers.folders import tree, write_files
from tests.helpers.pipeline import Notes, items, prepare
from tests.helpers.sa1b import (
    TRAIN,
    archive,
    asked,
    configured,
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


def test_shards_are_known_again_without_the_ledger(mounts: Mounts) -> None:
    settings = configured(mounts)
    assert prepare(settings, TRAIN) == 0
    shutil.rmtree(settings.state)
    before, requests = tree(settings.root), sum(mounts.server.requests.values())
    assert prepare(settings, TRAIN) == 0
    assert tree(settings.root) == before
    assert sum(mounts.server.requests.values()) == requests


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
