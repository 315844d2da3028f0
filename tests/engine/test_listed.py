"""SA-V val and test: an archive is its own index, behind links that expire."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saco_data.config.settings import Settings
from saco_data.dataset import listing
from saco_data.dataset.listing import Found
from saco_data.model.reasons import Reason, State
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.miniature import build, build_subset, serve
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar
from saco_data.sources.checksums import find_checksum
from saco_data.sources.listed import ListedSource
from saco_data.transports.archive import raw as archive_raw
from saco_data.transports.archive.stream import Plain
from tests.conftest import Saco
from tests.helpers.folders import config, tree, write_files
from tests.helpers.pipeline import Notes, items, prepare, products, states

VAL = "sa-v/val"


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    with serve(tmp_path / "served", {VAL: build_subset(VAL)}) as served:
        yield served


@pytest.fixture
def settings(tmp_path: Path, mounts: Mounts) -> Settings:
    return configured(tmp_path, mounts)


def configured(folder: Path, mounts: Mounts, **more: Any) -> Settings:
    own = mounts.keys["collections"]["sa-v"]
    return config(folder, collections={"sa-v": {**own, "path": "sa-v", **more}})


def expected() -> dict[str, bytes]:
    """What the official tree holds, below its top folder."""
    raw = build_subset(VAL).raw
    return {name.removeprefix("sav_val/"): content for name, content in raw.items()}


def count_requests(mounts: Mounts) -> int:
    return sum(mounts.server.requests.values())


def test_the_official_tree_is_there_untouched(settings: Settings) -> None:
    notes = Notes()
    assert prepare(settings, VAL, notes=notes) == 0
    own = settings.subset(VAL)
    assert own.images == settings.root / "sa-v" / "sav_val"
    assert products(settings, VAL) == expected()
    assert set(states(settings, VAL).values()) == {State.DONE}
    # No second copy, and no annotation file of ours.
    assert not [path for path in own.raw_folder.rglob("*") if path.is_file()]
    assert not own.derived.exists()
    # The miniature has other counts than the published set.
    assert any("18 masks (31967), 3 videos (155), 6 objects (293)" in each for each in notes.lines)


def test_a_rerun_does_nothing(settings: Settings, mounts: Mounts) -> None:
    assert prepare(settings, VAL) == 0
    before, asked = tree(settings.root), count_requests(mounts)
    assert prepare(settings, VAL) == 0
    assert count_requests(mounts) == asked and tree(settings.root) == before


def test_a_lost_picture_is_fetched_alone(settings: Settings, mounts: Mounts) -> None:
    assert prepare(settings, VAL) == 0
    images = settings.subset(VAL).images
    lost = sorted(images.rglob("*.png"))[3]
    lost.unlink()
    assert prepare(settings, VAL) == 0
    assert products(settings, VAL) == expected()


def test_a_damaged_mask_is_named(tmp_path: Path, mounts: Mounts) -> None:
    subset = build_subset(VAL)
    name = next(name for name in subset.raw if name.endswith("00004.png"))
    subset.raw[name] = subset.raw[name][:-20]
    cdn: LinksCdn = mounts.servers["sa-v"]
    cdn.offer("sav_val.tar", pack_tar(subset.raw))
    mounts.write("sa-v_links.txt", cdn.renew())
    settings = configured(tmp_path, mounts)
    assert prepare(settings, VAL) == 3
    found = items(settings, VAL)[name.removeprefix("sav_val/")]
    assert found.reason is Reason.CORRUPT_IMAGE
    assert list(states(settings, VAL).values()).count(State.FAILED) == 1


@pytest.mark.parametrize("kind", ["archive", "folder"])
def test_what_is_at_hand_is_listed_and_left_alone(tmp_path: Path, kind: str) -> None:
    raw = build_subset(VAL).raw
    if kind == "archive":
        write_files(tmp_path, {"given/sav_val.tar": pack_tar(raw)})
        given = "given/sav_val.tar"
    else:
        write_files(tmp_path / "given", raw)
        given = "given"
    before = tree(tmp_path / "given")
    settings = config(tmp_path, collections={"sa-v": {"path": "sa-v", "raw": {"val": given}}})
    assert prepare(settings, VAL) == 0
    assert products(settings, VAL) == expected()
    assert tree(tmp_path / "given") == before


@pytest.fixture
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests and checkpoints in steps that fit the miniature."""
    monkeypatch.setattr(archive_raw, "FIRST_WINDOW", 8 << 10)
    monkeypatch.setattr(archive_raw, "LAST_WINDOW", 8 << 10)
    monkeypatch.setattr(archive_raw, "LEAST_SKIP", 1 << 10)
    monkeypatch.setattr(archive_raw, "MOST_SKIP", 1 << 10)
    monkeypatch.setattr(Plain, "SAVE_EVERY", 4 << 10)


@pytest.mark.usefixtures("small_steps")
def test_an_expired_link_costs_a_new_links_file(settings: Settings, mounts: Mounts) -> None:
    cdn: LinksCdn = mounts.servers["sa-v"]
    cdn.expire_after = 5
    notes = Notes()
    assert prepare(settings, VAL, notes=notes) == 4
    assert "links_file" in notes.lines[-1] and "expired" in notes.lines[-1]
    own = settings.subset(VAL)
    unpacked = {path for path in own.raw_folder.rglob("*") if path.is_file()}
    assert unpacked and not own.pristine.exists()
    mounts.write("sa-v_links.txt", cdn.renew())
    sent = mounts.server.bytes_sent
    assert prepare(settings, VAL) == 0
    assert products(settings, VAL) == expected()
    whole = len(cdn.contents["sav_val.tar"])
    assert mounts.server.bytes_sent - sent < whole


@pytest.mark.usefixtures("small_steps")
def test_a_killed_run_goes_on(
    settings: Settings, mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = 0

    def save(self: Any, *arguments: Any) -> None:
        nonlocal saved
        saved += 1
        if saved % 6 == 0:
            raise KeyboardInterrupt
        original(self, *arguments)

    original = ListedSource._save
    monkeypatch.setattr(ListedSource, "_save", save)
    for _ in range(20):
        try:
            code = prepare(settings, VAL)
        except BaseException:
            continue
        if code == 0:
            break
    assert products(settings, VAL) == expected()
    assert saved > 6


def test_silvers_sav_and_sa_v_leave_each_other_alone(tmp_path: Path) -> None:
    both = {"sav": build_subset("sav"), VAL: build_subset(VAL)}
    build(tmp_path, ["sav"])
    with serve(tmp_path / "served", both) as served:
        keys = dict(served.keys)
        keys["collections"]["sa-v"]["path"] = "sa-v"
        settings = config(tmp_path, **keys)
        assert prepare(settings, VAL) == 0
        of_collection = tree(tmp_path / "sa-v")
        assert prepare(settings, "sav") == 0
        assert tree(tmp_path / "sa-v") == of_collection
        of_silver = tree(settings.silver), tree(settings.subset("sav").folder)
        shutil.rmtree(tmp_path / "sa-v")
        assert prepare(settings, VAL) == 0
        assert (tree(settings.silver), tree(settings.subset("sav").folder)) == of_silver
    assert set(states(settings, "sav").values()) == {State.DONE, State.GONE}


def test_a_listing_of_another_tool_is_refused(settings: Settings) -> None:
    path = settings.subset(VAL).pristine
    write_files(path.parent, {path.name: b'{"images": []}'})
    notes = Notes()
    assert prepare(settings, VAL, notes=notes) == 4
    assert "is not a listing" in notes.lines[-1]


def test_the_listing_does_not_depend_on_the_order_of_the_archive(tmp_path: Path) -> None:
    listing.write(tmp_path / "a", {"x.tar": Found({"b", "a"})})
    listing.write(tmp_path / "b", {"x.tar": Found({"a", "b"})})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_an_md5_is_found_by_the_name_of_its_file() -> None:
    right = hashlib.md5(b"x", usedforsecurity=False).hexdigest()
    text = f"{'0' * 32}  sav_000.tar\n{right.upper()} *./sav_val.tar\n"
    assert find_checksum(text, "sav_val.tar") == right
    assert find_checksum(text, "sav_test.tar") is None


def test_eval_finds_the_ground_truth_of_the_prepared_copy(
    settings: Settings, tmp_path: Path, saco: Saco
) -> None:
    before = saco("eval", "masks", "--subset", VAL, cwd=tmp_path)
    assert before.returncode == 4 and "saco prepare" in before.stderr
    assert prepare(settings, VAL) == 0
    truth = settings.subset(VAL).images / "Annotations_6fps"
    shutil.copytree(truth, tmp_path / "masks")
    done = saco("eval", "masks", "--subset", VAL, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)["subsets"][VAL]
    assert result["official"]["JF"] == 1 or result["official"]["JF"] == 100
    next(truth.rglob("*.png")).unlink()
    less = saco("eval", "masks", "--subset", VAL, cwd=tmp_path)
    assert less.returncode == 3 and "1 of 18 masks" in less.stderr


def test_all_commands_know_it(settings: Settings, tmp_path: Path, saco: Saco) -> None:
    planned = json.loads(saco("plan", "sa-v", "--json", cwd=tmp_path).stdout)
    assert planned["subsets"][VAL]["fetch_bytes"] == 16_000_000_000
    assert prepare(settings, VAL) == 0
    for command in ("plan", "status", "verify", "report", "card", "doctor"):
        done = saco(command, VAL, cwd=tmp_path)
        assert done.returncode == 0, (command, done.stdout, done.stderr)
    counts = json.loads(saco("status", VAL, "--json", cwd=tmp_path).stdout)["subsets"][VAL]
    assert counts["products"]["done"] == 46 and counts["masks"]["kept"] == 18 and counts["complete"]


def test_an_archive_with_another_md5_leaves_nothing_behind(
    settings: Settings, mounts: Mounts
) -> None:
    right = mounts.server.files["/sums/sav_md5sum.chk"]
    mounts.server.files["/sums/sav_md5sum.chk"] = f"{'0' * 32}  sav_val.tar\n".encode()
    notes = Notes()
    assert prepare(settings, VAL, notes=notes) == 3
    assert "md5" in notes.lines[-1]
    own = settings.subset(VAL)
    assert not [path for path in own.raw_folder.rglob("*") if path.is_file()]
    assert not own.images.exists() and not own.pristine.exists()
    mounts.server.files["/sums/sav_md5sum.chk"] = right
    assert prepare(settings, VAL) == 0
    assert products(settings, VAL) == expected()
