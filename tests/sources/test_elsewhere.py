"""Files that are in an archive, but not where the manifest says, are never called gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from saco_data.model.reasons import Reason, State
from saco_data.sandbox.packing import pack_tar, pack_tar_gz, pack_zip
from saco_data.sandbox.recipe import MiniatureSubset
from tests.helpers.folders import config, write_files
from tests.helpers.miniatures import build_one, copied_products
from tests.helpers.pipeline import is_unpruned, items, prepare, products, states

PICTURES = ("geode", "bdd100k", "food_rec")
PACK = {"zip": pack_zip, "tar": pack_tar, "tar.gz": pack_tar_gz}


def deeper(name: str) -> str:
    folder, _, file = name.rpartition("/")
    return f"{folder}/part1/{file}"


def other_root(name: str) -> str:
    return name.partition("/")[2]


CHANGES: dict[str, Callable[[str], str]] = {
    "one level deeper": deeper,
    "other root": other_root,
    "other case": str.upper,
    "backslashes": lambda name: name.replace("/", "\\"),
    "base name only": lambda name: name.rpartition("/")[2],
}


def put(folder: Path, name: str, form: str, raw: dict[str, bytes]) -> dict[str, str]:
    """Puts raw files as a folder or an archive; returns the keys of the config."""
    if form == "folder":
        write_files(folder / "raw", raw)
        path = "raw"
    else:
        path = f"raw.{form}"
        (folder / path).write_bytes(PACK[form](raw))
    return {f"{name}_raw": path}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("form", [*PACK, "folder"])
@pytest.mark.parametrize("name", PICTURES)
def test_a_moved_picture_is_found(tmp_path: Path, name: str, form: str, change: str) -> None:
    if change == "backslashes" and form != "zip":
        pytest.skip("only zips have them")
    if name == "geode" and change in ("one level deeper", "base name only"):
        pytest.skip("its names are its paths")
    subset = build_one(tmp_path, name)
    # A part of the archive was packed in another way.
    moved = set(list(subset.raw)[:2]) if change == "one level deeper" else set(subset.raw)
    raw = {CHANGES[change](each) if each in moved else each: c for each, c in subset.raw.items()}
    settings = config(tmp_path, **put(tmp_path, name, form, raw))
    assert prepare(settings, name) == (4 if form == "folder" else 0)
    assert products(settings, name) == copied_products(subset)
    assert list(states(settings, name).values()).count(State.DONE) == len(subset.raw)


@pytest.mark.parametrize("name", ["bdd100k", "food_rec"])
@pytest.mark.parametrize("form", [*PACK, "folder"])
def test_a_name_in_two_other_places_is_told(tmp_path: Path, name: str, form: str) -> None:
    subset = build_one(tmp_path, name)
    first, content = next(iter(subset.raw.items()))
    raw = dict(subset.raw)
    del raw[first]
    file = first.rpartition("/")[2]
    raw |= {f"a/{file}": content, f"b/{file}": content}
    settings = config(tmp_path, **put(tmp_path, name, form, raw))
    assert prepare(settings, name) == 4
    (told,) = [i for i in items(settings, name).values() if i.reason is Reason.ELSEWHERE]
    assert f"a/{file}, b/{file}" in told.detail
    assert told.key in (settings.subset(name).derived.read_text())


def videos(tmp_path: Path) -> MiniatureSubset:
    return build_one(tmp_path, "sav")


@pytest.mark.parametrize("form", PACK)
@pytest.mark.parametrize(
    ("place", "is_used"),
    [
        ("videos_fps_6/part/{}", True),
        ("VIDEOS_FPS_6/{}", True),
        ("videos_fps_24/{}", False),
        ("{}", False),
    ],
)
def test_a_video_at_another_frame_rate_is_not_used(
    tmp_path: Path, form: str, place: str, is_used: bool
) -> None:
    subset = videos(tmp_path)
    raw = {place.format(each.rpartition("/")[2]): c for each, c in subset.raw.items()}
    (tmp_path / f"v.{form}").write_bytes(PACK[form](raw))
    settings = config(tmp_path, sav_videos_fps_6_download_path=f"v.{form}")
    assert prepare(settings, "sav") == (0 if is_used else 4)
    wanted = State.DONE if is_used else State.BLOCKED
    assert list(states(settings, "sav").values()).count(wanted) == 3 * len(subset.raw)
    assert is_used or is_unpruned(settings, "sav") or State.GONE in states(settings, "sav").values()


def test_an_archive_of_the_right_name_without_its_root_is_read(tmp_path: Path) -> None:
    subset = videos(tmp_path)
    raw = {each.rpartition("/")[2]: content for each, content in subset.raw.items()}
    (tmp_path / "videos_fps_6.tar").write_bytes(pack_tar(raw))
    settings = config(tmp_path, sav_videos_fps_6_download_path="videos_fps_6.tar")
    assert prepare(settings, "sav") == 0
    assert list(states(settings, "sav").values()).count(State.DONE) == 3 * len(subset.raw)


def test_a_mirror_that_mixes_folders_gives_all_its_pictures(tmp_path: Path) -> None:
    cases = Path(__file__).parents[1] / "data" / "cases"
    (tmp_path / "annotations").mkdir()
    shutil.copy(cases / "silver_bdd100k_merged_test.json", tmp_path / "annotations")
    settings = config(tmp_path, bdd100k_raw=str(cases / "bdd_mirror_mixed.zip"))
    assert prepare(settings, "bdd100k") == 0
    assert set(states(settings, "bdd100k").values()) == {State.DONE}
    assert len(products(settings, "bdd100k")) == 3


def test_gone_from_a_local_archive_carries_a_caution(tmp_path: Path) -> None:
    build_one(tmp_path, "bdd100k")
    subset = build_one(tmp_path, "bdd100k")
    settings = config(tmp_path, **put(tmp_path, "bdd100k", "zip", subset.raw))
    assert prepare(settings, "bdd100k") == 0
    (gone,) = [i for i in items(settings, "bdd100k").values() if i.state is State.GONE]
    assert "not known to be the published archive" in gone.detail
