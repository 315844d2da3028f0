"""DaTaSeg Objects365: a few pictures out of many archives, with COCO annotations."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from saco_data.config.settings import Settings
from saco_data.model.reasons import Reason, State
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar_gz
from saco_data.sandbox.recipes import recipe_of
from tests.helpers.folders import config, tree, write_files
from tests.helpers.miniatures import copied_products
from tests.helpers.pipeline import Notes, items, prepare, products, states

VAL = "o365/val"


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    with serve(tmp_path / "served", {VAL: build_subset(VAL)}) as served:
        yield served


@pytest.fixture
def settings(tmp_path: Path, mounts: Mounts) -> Settings:
    return config(tmp_path, **mounts.keys, collections={"o365": {"path": "o365"}})


def test_the_wanted_pictures_are_taken_out_of_their_archives(settings: Settings) -> None:
    notes = Notes()
    assert prepare(settings, VAL, notes=notes) == 0
    subset = build_subset(VAL)
    assert products(settings, VAL) == copied_products(subset)
    found = list(states(settings, VAL).values())
    assert (found.count(State.DONE), found.count(State.GONE)) == (5, 1)
    own = settings.subset(VAL)
    assert own.images == settings.root / "o365" / "val"
    (official,) = recipe_of(VAL).annotation_files(subset).values()
    assert own.pristine.read_bytes() == official
    derived = json.loads(own.derived.read_bytes())
    assert len(derived["images"]) == 5
    # Names and misspellings stay, and the COCO path leads to the picture.
    assert derived["categories"] == json.loads(official)["categories"]
    assert all((own.images / each["file_name"]).is_file() for each in derived["images"])
    assert any("other counts than published" in line for line in notes.lines)


def test_entries_without_a_segmentation_are_not_counted(settings: Settings) -> None:
    from saco_data.engine.status import read
    from saco_data.state.ledger import Ledger

    assert prepare(settings, VAL) == 0
    own = settings.subset(VAL)
    entries = json.loads(own.pristine.read_bytes())["annotations"]
    kept = json.loads(own.derived.read_bytes())["annotations"]
    with Ledger(settings.state, read_only=True) as ledger:
        (status,) = read(settings, ledger, [VAL]).subsets
    with_mask = [sum("segmentation" in each for each in part) for part in (entries, kept)]
    assert list(status.masks) == with_mask and with_mask[0] < len(entries)


def test_a_rerun_does_nothing(settings: Settings, mounts: Mounts) -> None:
    assert prepare(settings, VAL) == 0
    before, asked = tree(settings.root), sum(mounts.server.requests.values())
    assert prepare(settings, VAL) == 0
    assert tree(settings.root) == before
    assert sum(mounts.server.requests.values()) == asked


def test_a_missing_archive_costs_its_own_pictures_only(settings: Settings, mounts: Mounts) -> None:
    lost = mounts.server.files.pop("/o365/v1/patch4.tar.gz")
    assert prepare(settings, VAL) == 3
    found = items(settings, VAL)
    failed = {name for name, item in found.items() if item.state is State.FAILED}
    assert failed == {name for name in found if "/patch4/" in name}
    assert {found[name].reason for name in failed} == {Reason.HTTP_ERROR}
    mounts.server.files["/o365/v1/patch4.tar.gz"] = lost
    assert prepare(settings, VAL) == 0
    assert products(settings, VAL) == copied_products(build_subset(VAL))


@pytest.mark.parametrize("kind", ["archives", "folder"])
def test_archives_and_pictures_at_hand_are_used(tmp_path: Path, kind: str) -> None:
    subset = build_subset(VAL)
    if kind == "archives":
        given = {}
        for name in subset.raw:
            patch = name.partition("/")[0]
            own = {each: raw for each, raw in subset.raw.items() if each.startswith(f"{patch}/")}
            given[f"{patch}.tar.gz"] = pack_tar_gz(own)
        # The archive of the missing picture is there too.
        for name in subset.missing:
            given.setdefault(f"{name.partition('/')[0]}.tar.gz", pack_tar_gz({"x.jpg": b"x"}))
    else:
        given = dict(subset.raw)
    write_files(tmp_path / "given", given)
    (content,) = recipe_of(VAL).annotation_files(subset).values()
    write_files(tmp_path / "annotations/o365", {"o365_instance_seg_val.json": content})
    settings = config(tmp_path, collections={"o365": {"path": "o365", "raw": {"val": "given"}}})
    # A folder may still be completed, so a picture that is not in it is not gone.
    assert prepare(settings, VAL) == (0 if kind == "archives" else 4)
    assert products(settings, VAL) == copied_products(subset)
