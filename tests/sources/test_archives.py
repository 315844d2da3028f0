"""GeoDE, BDD100K and Food Recognition from folders, archives and URLs, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saco_data import sources
from saco_data.catalog.registry import builtin
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Product
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.packing import pack_tar, pack_tar_gz, pack_zip
from saco_data.sandbox.recipe import MiniatureSubset
from saco_data.sources.archives import ArchiveSource
from tests.helpers.folders import config, write_files
from tests.helpers.miniatures import build_one, copied_products
from tests.helpers.pipeline import Notes, is_unpruned, items, prepare, products, states

SUBSETS = ("geode", "bdd100k", "food_rec")


def as_zip(folder: Path, subset: MiniatureSubset) -> str:
    (folder / "raw.zip").write_bytes(pack_zip(subset.raw))
    return "raw.zip"


def as_tar(folder: Path, subset: MiniatureSubset) -> str:
    (folder / "raw.tar").write_bytes(pack_tar(subset.raw))
    return "raw.tar"


def as_tar_gz(folder: Path, subset: MiniatureSubset) -> str:
    (folder / "raw.tgz").write_bytes(pack_tar_gz(subset.raw))
    return "raw.tgz"


def as_folder(folder: Path, subset: MiniatureSubset) -> str:
    return write_files(folder / "extracted", subset.raw).name


@pytest.mark.parametrize("name", SUBSETS)
@pytest.mark.parametrize("form", [as_zip, as_tar, as_tar_gz])
def test_a_local_archive_gives_the_same_bytes_and_missing_members_are_named(
    tmp_path: Path, name: str, form: Callable[[Path, MiniatureSubset], str]
) -> None:
    subset = build_one(tmp_path, name)
    settings = config(tmp_path, **{f"{name}_raw": form(tmp_path, subset)})
    assert prepare(settings, name) == 0
    assert products(settings, name) == copied_products(subset)
    (lost,) = [each for each, state in states(settings, name).items() if state is State.GONE]
    assert subset.raw_name[lost] == subset.missing[0]


@pytest.mark.parametrize("name", SUBSETS)
def test_a_folder_that_lacks_a_file_needs_the_user_and_prunes_nothing(
    tmp_path: Path, name: str
) -> None:
    subset = build_one(tmp_path, name)
    settings = config(tmp_path, **{f"{name}_raw": as_folder(tmp_path, subset)})
    assert prepare(settings, name) == 4
    assert products(settings, name) == copied_products(subset)
    assert is_unpruned(settings, name)
    missing = subset.missing[0]
    (tmp_path / "extracted" / missing).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "extracted" / missing).write_bytes(next(iter(subset.raw.values())))
    assert prepare(settings, name) == 0


@pytest.mark.parametrize("name", SUBSETS)
@pytest.mark.parametrize("form", [as_zip, as_tar, as_tar_gz])
def test_a_url_streams_only_what_is_wanted(
    tmp_path: Path, name: str, form: Callable[[Path, MiniatureSubset], str]
) -> None:
    subset = build_one(tmp_path, name)
    content = (tmp_path / form(tmp_path, subset)).read_bytes()
    with FileServer({"/raw": content}) as server:
        settings = config(tmp_path, **{f"{name}_raw": f"{server.url}/raw"})
        assert prepare(settings, name) == 0
        assert products(settings, name) == copied_products(subset)
        asked = server.requests.total()
        assert prepare(settings, name) == 0
        assert server.requests.total() == asked, "a finished subset sends no request"


@pytest.mark.parametrize(
    "depth", ["", "bdd100k", "bdd100k/images/100k", "bdd100k/images/100k/train"]
)
def test_any_folder_above_the_files_may_be_named(tmp_path: Path, depth: str) -> None:
    subset = build_one(tmp_path, "bdd100k")
    as_folder(tmp_path, subset)
    settings = config(tmp_path, bdd100k_raw=str(Path("extracted") / depth))
    prepare(settings, "bdd100k")
    assert products(settings, "bdd100k") == copied_products(subset)


def test_identical_files_are_left_alone(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "geode")
    settings = config(tmp_path, geode_raw=as_zip(tmp_path, subset))
    prepare(settings, "geode")
    before = {path: path.stat() for path in settings.subset("geode").images.iterdir()}
    (settings.state / "ledger.sqlite").unlink()
    assert prepare(settings, "geode") == 0
    for path, stat in before.items():
        now = path.stat()
        assert (now.st_ino, now.st_mtime_ns) == (stat.st_ino, stat.st_mtime_ns)


def test_another_file_under_a_final_name_is_replaced(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "geode")
    settings = config(tmp_path, geode_raw=as_zip(tmp_path, subset))
    (name, content), *_ = copied_products(subset).items()
    settings.subset("geode").images.mkdir(parents=True)
    other = list(copied_products(subset).values())[1]
    (settings.subset("geode").images / name).write_bytes(other)
    assert prepare(settings, "geode") == 0
    assert products(settings, "geode")[name] == content


def test_a_new_archive_is_searched_for_files_that_the_old_one_lacked(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "geode")
    settings = config(tmp_path, geode_raw=as_zip(tmp_path, subset))
    assert prepare(settings, "geode") == 0
    subset.raw[subset.missing[0]] = next(iter(subset.raw.values()))
    as_zip(tmp_path, subset)
    assert prepare(settings, "geode") == 0
    assert State.GONE not in states(settings, "geode").values()
    assert (
        settings.subset("geode").derived.read_bytes()
        == settings.subset("geode").pristine.read_bytes()
    )


def test_an_archive_without_any_file_prunes_nothing(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "geode")
    (tmp_path / "other.zip").write_bytes(pack_zip({"readme.txt": b"another archive"}))
    settings = config(tmp_path, geode_raw="other.zip")
    notes = Notes()
    assert prepare(settings, "geode", notes=notes) == 4
    assert (
        settings.subset("geode").derived.read_bytes()
        == settings.subset("geode").pristine.read_bytes()
    )
    assert any("wrong address" in line for line in notes.lines)
    # The next run with the right archive completes the subset.
    settings = config(tmp_path, geode_raw=as_zip(tmp_path, subset))
    assert prepare(settings, "geode") == 0
    assert len(products(settings, "geode")) == 5


def test_a_source_that_gives_nothing_prunes_nothing_even_after_another_error(
    tmp_path: Path,
) -> None:
    subset = build_one(tmp_path, "geode")
    first = next(iter(subset.raw))
    (tmp_path / "other.zip").write_bytes(pack_zip({first: b"no picture at all"}))
    settings = config(tmp_path, geode_raw="other.zip")
    assert prepare(settings, "geode") == 4
    assert set(states(settings, "geode").values()) == {State.GONE, State.FAILED}
    assert (
        settings.subset("geode").derived.read_bytes()
        == settings.subset("geode").pristine.read_bytes()
    )


def test_gone_from_one_mirror_does_not_count_for_another(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "geode")
    (first, content), *_ = subset.raw.items()
    with FileServer({"/bad/raw.zip": pack_zip({first: content})}) as server:
        server.files["/good/raw.zip"] = pack_zip(subset.raw)
        assert prepare(config(tmp_path, geode_raw=f"{server.url}/bad/raw.zip"), "geode") == 0
        settings = config(tmp_path, geode_raw=f"{server.url}/good/raw.zip")
        assert prepare(settings, "geode") == 0
    assert len(products(settings, "geode")) == 5


def test_a_cut_archive_prunes_nothing(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "food_rec")
    name = as_tar_gz(tmp_path, subset)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    settings = config(tmp_path, food_rec_raw=name)
    assert prepare(settings, "food_rec") == 4
    assert State.GONE not in states(settings, "food_rec").values()
    (tmp_path / name).write_bytes(content)
    assert prepare(settings, "food_rec") == 0


@pytest.mark.parametrize(
    ("subset", "member", "key"),
    [
        ("geode", "images/Africa/Egypt/bag/1.jpg", "Africa_Egypt_bag_1"),
        ("geode", "geode/images/images/bag/1.jpg", "images_bag_1"),
        ("geode", "index.csv", None),
        ("bdd100k", "bdd100k/images/100k/train/x.jpg", "x.jpg"),
        ("bdd100k", "100k/train/x.jpg", "x.jpg"),
        ("bdd100k", "100k/val/x.jpg", None),
        ("bdd100k", "10100k/train/x.jpg", None),
        ("food_rec", "public_validation_set_2.0/images/006316.jpg", "006316.jpg"),
        ("food_rec", "public_training_set/images/006316.jpg", None),
        ("sav", "videos_fps_6/sav_000001.mp4", "sav_000001.mp4"),
        ("sav", "videos_fps_24/sav_000001.mp4", None),
    ],
)
def test_naming_rules(tmp_path: Path, subset: str, member: str, key: str | None) -> None:
    source = sources.make(config(tmp_path).subset(subset))
    wanted = {"Africa_Egypt_bag_1", "images_bag_1", "x.jpg", "006316.jpg", "sav_000001.mp4"}
    assert source.key_of_member(member, wanted) == key  # type: ignore[attr-defined]


def test_food_names_keep_their_last_part_and_suffix(tmp_path: Path) -> None:
    source = sources.make(config(tmp_path).subset("food_rec"))
    assert source.key_of(Product("some_set_2.0_006316.JPG", 1, 1)) == "006316.JPG"


@pytest.mark.parametrize("name", SUBSETS)
def test_a_missing_archive_is_reported_with_the_page_to_visit(tmp_path: Path, name: str) -> None:
    build_one(tmp_path, name)
    settings = config(tmp_path)
    assert prepare(settings, name) == 4
    found = set(states(settings, name).values())
    assert found == {State.BLOCKED}
    assert (
        builtin().find(name).access.page
        in sources.make(settings.subset(name)).missing_requirement()
    )


def test_a_raw_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    build_one(tmp_path, "geode")
    settings = config(tmp_path, geode_raw="nowhere.zip")
    assert prepare(settings, "geode") == 4
    assert (
        "nowhere.zip does not exist" in sources.make(settings.subset("geode")).missing_requirement()
    )


def test_a_hostile_archive_writes_nothing_outside(tmp_path: Path) -> None:
    import io
    import tarfile

    subset = build_one(tmp_path, "bdd100k")
    (name, content), *others = subset.raw.items()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo(name)
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        for each, inner in [("../../100k/train/" + name.rpartition("/")[2], content), *others]:
            info = tarfile.TarInfo(each)
            info.size = len(inner)
            archive.addfile(info, io.BytesIO(inner))
    (tmp_path / "evil.tar").write_bytes(buffer.getvalue())
    settings = config(tmp_path, bdd100k_raw="evil.tar")
    prepare(settings, "bdd100k")
    file_name = name.rpartition("/")[2]
    assert file_name not in products(settings, "bdd100k")
    assert states(settings, "bdd100k")[file_name] is State.FAILED
    assert len(products(settings, "bdd100k")) == len(others)
    assert Reason.ARCHIVE_DAMAGED.state is State.FAILED


@pytest.mark.parametrize("remote", [False, True])
def test_a_damaged_member_of_a_zip_does_not_affect_the_others(tmp_path: Path, remote: bool) -> None:
    subset = build_one(tmp_path, "bdd100k")
    content = bytearray(pack_zip(subset.raw))
    name = next(n for n in copied_products(subset) if subset.raw_name[n] != min(subset.raw))
    content[content.index(subset.raw_name[name].encode()) + 200] ^= 1
    (tmp_path / "raw.zip").write_bytes(content)
    with FileServer(tmp_path) as server:
        raw = f"{server.url}/raw.zip" if remote else "raw.zip"
        settings = config(tmp_path, bdd100k_raw=raw)
        assert prepare(settings, "bdd100k") == 3
    rest = {each: bytes for each, bytes in copied_products(subset).items() if each != name}
    assert products(settings, "bdd100k") == rest
    item = items(settings, "bdd100k")[name]
    assert item.reason is Reason.ARCHIVE_DAMAGED
    assert "is damaged" in item.detail and item.origin.endswith(f"#{subset.raw_name[name]}")


def test_geodes_folder_images_is_found_below_another_of_that_name(tmp_path: Path) -> None:
    source = sources.make(config(tmp_path).subset("geode"))
    assert isinstance(source, ArchiveSource)
    for above in ("", "images/", "/data/images/", "images/of/"):
        name = f"{above}images/Africa/x.jpg"
        assert source.key_of_member(name, {"Africa_x"}) == "Africa_x"


def test_a_product_made_again_from_its_raw_file_keeps_its_origin(tmp_path: Path) -> None:
    subset = build_one(tmp_path, "bdd100k")
    as_tar(tmp_path, subset)
    with FileServer(tmp_path) as server:
        settings = config(tmp_path, bdd100k_raw=f"{server.url}/raw.tar")
        prepare(settings, "bdd100k")
        name = next(iter(copied_products(subset)))
        (settings.subset("bdd100k").images / name).unlink()
        assert prepare(settings, "bdd100k") == 0
        origin = f"{server.url}/raw.tar#{subset.raw_name[name]}"
    assert items(settings, "bdd100k")[name].origin == origin


@pytest.mark.parametrize(
    "keys",
    [
        {"endpoints": {"inaturalist_archive": "ftp://me:secret@h/x.tar"}},
        {"endpoints": {"inaturalist_mapping": "ftp://me:secret@h/x.json"}},
        {"inaturalist_raw": "ftp://me:secret@h/x.tar"},
    ],
)
def test_a_password_in_a_malformed_address_is_not_shown(
    tmp_path: Path, keys: dict[str, Any]
) -> None:
    build_one(tmp_path, "inaturalist")
    settings, notes = config(tmp_path, **keys), Notes()
    assert prepare(settings, "inaturalist", notes=notes) == 4
    known = items(settings, "inaturalist").values()
    said = [*notes.lines, *(f"{item.detail} {item.origin} {item.facts}" for item in known)]
    said.append(sources.make(settings.subset("inaturalist")).missing_requirement())
    assert any("inaturalist_" in line or "ftp:/h/x" in line for line in said)
    assert not [line for line in said if "secret" in line]
