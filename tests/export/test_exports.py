"""Each export is opened by the library that it is for; all is equal to what `saco.load` gives."""

from __future__ import annotations

import functools
import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from pycocotools import mask as rle
from pycocotools.coco import COCO

import saco_data as saco
from saco_data.catalog.registry import builtin
from saco_data.cli.export import NAMES
from saco_data.dataset.dataset import Dataset, Subset
from saco_data.export import FORMATS, export
from saco_data.export.place import UNFINISHED, open_place
from saco_data.model.errors import Incomplete, UsageError
from saco_data.storage.store import open_store
from tests.conftest import Saco
from tests.helpers.bucket import BUCKET
from tests.helpers.miniatures import prepare_miniature

SUBSETS = ("geode", "sav")
Masks = NDArray[np.bool_]
# (file name, phrase): boxes in pixels and masks.
Content = dict[tuple[str, str], tuple[NDArray[np.float64], Masks]]
Written = Callable[..., Path]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the config of a prepared copy; a picture and a video are gone."""
    folder = tmp_path_factory.mktemp("copy")
    prepare_miniature(folder, SUBSETS)
    return folder


@pytest.fixture(scope="module")
def copy(home: Path) -> Dataset:
    return saco.load(home / "silver")


def of(copy: Dataset, name: str) -> Subset:
    """A subset of phrases."""
    found = copy[name]
    assert isinstance(found, Subset)
    return found


@pytest.fixture(scope="module")
def expected(copy: Dataset) -> dict[str, Content]:
    """What each subset holds."""
    return {
        name: {(item.file_name, item.phrase): (item.boxes, item.masks) for item in of(copy, name)}
        for name in SUBSETS
    }


@pytest.fixture(scope="module")
def written(
    copy: Dataset, expected: dict[str, Content], tmp_path_factory: pytest.TempPathFactory
) -> Written:
    """Writes an export of both subsets, once; returns its folder: `written("coco")`."""

    @functools.cache
    def write(name: str, **options: bool) -> Path:
        to = tmp_path_factory.mktemp(name) / "out"
        manifests = {subset: builtin().find(subset) for subset in SUBSETS}
        done = export(name, copy, manifests, str(to), **options)
        for subset, content in expected.items():
            counts = done.counts[subset]
            assert counts.image_nps == len(content) == len(of(copy, subset))
            assert counts.masks == sum(len(masks) for _, masks in content.values()) > 0
            assert counts.pictures == len({file for file, _ in content})
        said = json.loads((to / "export.json").read_bytes())
        # What is gone is said in every export.
        coverage = said["subsets"]["geode"]["coverage"]
        assert coverage["missing_files"] == {"not_in_archive": 1} and coverage["comparable"]
        assert coverage["image_nps"][0] < coverage["image_nps"][1]
        return to

    return write


def check(found: Content, wanted: Content) -> None:
    assert found.keys() == wanted.keys()
    for key, (boxes, masks) in wanted.items():
        assert np.allclose(found[key][0], boxes), key
        assert found[key][1].shape == masks.shape and (found[key][1] == masks).all(), key


def decode(masks: list[dict[str, Any]], height: int, width: int) -> Masks:
    found = [rle.decode({"size": list(m["size"]), "counts": m["counts"].encode()}) for m in masks]
    return np.array(found, bool).reshape(len(found), height, width)


@pytest.mark.parametrize("subset", SUBSETS)
def test_coco(copy: Dataset, expected: dict[str, Content], written: Written, subset: str) -> None:
    out = written("coco")
    coco: Any = COCO(out / "annotations" / f"{subset}.json")
    names = {each["id"]: each["name"] for each in coco.loadCats(coco.getCatIds())}
    assert names.keys() == set(range(1, len(names) + 1))
    found: Content = {}
    for image in coco.loadImgs(coco.getImgIds()):
        path = out / "images" / subset / image["file_name"]
        assert (
            path.read_bytes() == (of(copy, subset).files.images / image["file_name"]).read_bytes()
        )
        height, width = image["height"], image["width"]
        for negative in image["neg_category_ids"]:
            found[image["file_name"], names[negative]] = (
                np.zeros((0, 4)),
                np.zeros((0, height, width), bool),
            )
        members: dict[str, list[dict[str, Any]]] = {}
        for each in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            members.setdefault(names[each["category_id"]], []).append(each)
        for phrase, entries in members.items():
            masks = np.array([coco.annToMask(each) for each in entries], bool)
            assert [each["area"] for each in entries] == [mask.sum() for mask in masks]
            found[image["file_name"], phrase] = (np.array([e["bbox"] for e in entries]), masks)
    check(found, expected[subset])
    info = json.loads((out / "annotations" / f"{subset}.json").read_bytes())["info"]
    assert info["saco"]["coverage"]["missing_files"] and info["saco"]["licence"]


def test_coco_of_one_class(copy: Dataset, written: Written) -> None:
    out = written("coco", one_class=True)
    coco = COCO(out / "annotations" / "geode.json")
    assert [each["name"] for each in coco.loadCats(coco.getCatIds())] == ["object"]
    assert len(coco.getAnnIds()) == sum(len(item.masks) for item in of(copy, "geode"))


def read_yolo(root: Path, subset: str) -> Iterator[tuple[str, int, NDArray[np.float64]]]:
    """File, class and polygon in fractions of each line, as its documentation describes them."""
    for label in sorted((root / "labels" / subset).rglob("*.txt")):
        name = label.relative_to(root / "labels" / subset).with_suffix(".jpg")
        assert (root / "images" / subset / name).is_file()
        for line in label.read_text().splitlines():
            number, *values = line.split()
            assert len(values) >= 6 and all(0 <= float(each) <= 1 for each in values)
            yield str(name), int(number), np.array(values, float).reshape(-1, 2)


@pytest.mark.parametrize("subset", SUBSETS)
def test_yolo(copy: Dataset, expected: dict[str, Content], written: Written, subset: str) -> None:
    import cv2

    out = written("yolo")
    described = yaml.safe_load((out / f"{subset}.yaml").read_text())
    names = described["names"]
    assert (out / described["test"]).is_dir()
    found: dict[tuple[str, str], list[Masks]] = {}
    sizes = {item.file_name: (item.height, item.width) for item in of(copy, subset)}
    for file, number, polygon in read_yolo(out, subset):
        height, width = sizes[file]
        canvas = np.zeros((height, width), np.uint8)
        # As trainers draw them: scaled, cut to whole pixels, filled.
        cv2.fillPoly(canvas, [(polygon * (width, height)).astype(np.int32)], 1)
        found.setdefault((file, names[number]), []).append(canvas.astype(bool))
    positive = {key: masks for key, (_, masks) in expected[subset].items() if len(masks)}
    assert found.keys() == positive.keys()
    overlaps = []
    for key, masks in positive.items():
        assert len(found[key]) == len(masks)
        for mine, wanted in zip(found[key], masks, strict=True):
            overlaps.append((mine & wanted).sum() / (mine | wanted).sum())
    # Exact but for lines between parts of a mask.
    assert np.median(overlaps) == 1 and min(overlaps) > 0.9
    negatives = sum(item.is_negative for item in of(copy, subset))
    assert described["saco"]["negative_phrases"] == negatives


def test_a_mask_with_parts_and_holes_becomes_one_polygon() -> None:
    import cv2

    from saco_data.export.yolo import outline

    mask = np.zeros((60, 80), bool)
    mask[5:40, 5:40] = True
    mask[15:25, 15:25] = False
    mask[45:55, 60:75] = True
    mask[0, 79] = True
    canvas = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(canvas, [outline(mask)], 1)
    drawn = canvas.astype(bool)
    assert (drawn & mask).sum() == mask.sum()
    # The lines that join the parts.
    assert (drawn & ~mask).sum() < 80


@pytest.mark.parametrize("subset", SUBSETS)
def test_webdataset(expected: dict[str, Content], written: Written, subset: str) -> None:
    import webdataset

    out = written("webdataset")
    shards = [str(path) for path in out.glob(f"{subset}-*.tar")]
    found: Content = {}
    for sample in webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"):
        about = sample["json"]
        size = (about["height"], about["width"])
        assert sample["jpg"].shape == (*size, 3)
        assert about["coverage"]["missing_files"]
        for item in about["items"]:
            boxes = np.array(item["boxes"], float).reshape(-1, 4)
            found[about["file_name"], item["phrase"]] = (boxes, decode(item["masks"], *size))
    check(found, expected[subset])


@pytest.mark.parametrize("subset", SUBSETS)
def test_parquet(
    copy: Dataset,
    expected: dict[str, Content],
    written: Written,
    tmp_path: Path,
    subset: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from datasets import load_dataset

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    out = written("parquet")
    cache = str(tmp_path / "cache")
    rows = load_dataset(str(out), subset, split="test", cache_dir=cache)
    found: Content = {}
    for row in rows:
        size = (row["height"], row["width"])
        assert row["image"].size == size[::-1]
        for item in row["items"]:
            boxes = np.array(item["boxes"], float).reshape(-1, 4)
            found[row["file_name"], item["phrase"]] = (boxes, decode(item["masks"], *size))
    check(found, expected[subset])
    ids = {item["id"] for row in rows for item in row["items"]}
    assert ids == {item.id for item in of(copy, subset)}
    assert "the others are gone" in (out / "README.md").read_text()


@pytest.mark.parametrize("subset", SUBSETS)
def test_croissant(
    copy: Dataset, expected: dict[str, Content], written: Written, subset: str
) -> None:
    import mlcroissant

    out = written("croissant")
    described = mlcroissant.Dataset(jsonld=out / "croissant.json")
    assert not described.metadata.issues.errors
    key, masks = f"{subset}-image-nps", f"{subset}-masks"
    pairs = {}
    for row in described.records(key):
        name = row[f"{key}/file_name"].decode(), row[f"{key}/phrase"].decode()
        pairs[row[f"{key}/id"].decode()] = (name, (row[f"{key}/height"], row[f"{key}/width"]))
    assert list(pairs) == [
        str(item.id) for picture in of(copy, subset).pictures() for item in picture.items
    ]
    boxes: dict[str, list[list[float]]] = {each: [] for each in pairs}
    runs: dict[str, list[dict[str, Any]]] = {each: [] for each in pairs}
    for row in described.records(masks):
        number = row[f"{masks}/image_np"].decode()
        edges = ("left", "top", "box_width", "box_height")
        boxes[number].append([row[f"{masks}/{edge}"] for edge in edges])
        size = [row[f"{masks}/height"], row[f"{masks}/width"]]
        runs[number].append({"size": size, "counts": row[f"{masks}/counts"].decode()})
    found: Content = {
        name: (np.array(boxes[number]).reshape(-1, 4), decode(runs[number], *size))
        for number, (name, size) in pairs.items()
    }
    check(found, expected[subset])
    content = json.loads((out / "croissant.json").read_bytes())
    assert "the others are gone" in content["description"]
    assert content["license"] and content["citeAs"]


def unpack(packed: dict[str, Any]) -> Masks:
    import base64
    import io
    import zlib

    content = zlib.decompress(base64.b64decode(packed["$binary"]["base64"]))
    mask: Masks = np.load(io.BytesIO(content))
    return mask


def place(mask: Masks, box: list[float], size: tuple[int, int]) -> Masks:
    """A mask of a box, whose numbers are fractions, on the whole picture."""
    whole = np.zeros(size, bool)
    left, top = round(box[0] * size[1]), round(box[1] * size[0])
    whole[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    assert math.isclose(box[2] * size[1], mask.shape[1]), "the mask fills its box"
    return whole


@pytest.mark.parametrize("subset", SUBSETS)
def test_fiftyone(expected: dict[str, Content], written: Written, subset: str) -> None:
    """By its documented layout; the next test opens it with FiftyOne where that is installed."""
    root = written("fiftyone") / subset
    found: Content = {}
    for sample in json.loads((root / "samples.json").read_bytes())["samples"]:
        assert (root / sample["filepath"]).is_file()
        file = sample["filepath"].removeprefix("data/")
        size = (sample["metadata"]["height"], sample["metadata"]["width"])
        members: dict[str, list[tuple[Any, Masks]]] = {}
        for each in sample["ground_truth"]["detections"]:
            box = each["bounding_box"]
            pixels = np.array(box) * (size[1], size[0], size[1], size[0])
            mask = place(unpack(each["mask"]), box, size)
            members.setdefault(each["label"], []).append((pixels, mask))
        for phrase, both in members.items():
            boxes, masks = zip(*both, strict=True)
            found[file, phrase] = (np.array(boxes), np.array(masks))
        for phrase in sample["negative_phrases"]:
            found[file, phrase] = (np.zeros((0, 4)), np.zeros((0, *size), bool))
    check(found, expected[subset])
    info = json.loads((root / "metadata.json").read_bytes())["info"]
    assert info["coverage"]["missing_files"]


def test_fiftyone_opens_it(copy: Dataset, written: Written) -> None:
    """Its own reader, which needs no database; it is too large to be installed for every test."""
    importers = pytest.importorskip("fiftyone.utils.data.importers")
    out = written("fiftyone")
    reader = importers.FiftyOneDatasetImporter(str(out / "geode"))
    assert reader._is_legacy_format_data()
    with reader._to_legacy_importer() as samples:
        found = list(samples)
        assert samples.get_dataset_info()["licence"]
    items = {item.file_name: 0 for item in of(copy, "geode")}
    for item in of(copy, "geode"):
        items[item.file_name] += len(item.masks)
    detections = {Path(each.filepath).name: each.ground_truth.detections for each in found}
    assert {name: len(each) for name, each in detections.items()} == items
    for item in of(copy, "geode"):
        named = [d for d in detections[item.file_name] if d.label == item.phrase]
        for detection, mask in zip(named, item.masks, strict=True):
            size = (item.height, item.width)
            assert (place(detection.mask, list(detection.bounding_box), size) == mask).all()


def test_the_command(home: Path, saco: Saco) -> None:
    ended = saco("export", "coco", "geode", "--to", "out", "--json", cwd=home)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["subsets"]["geode"]["pictures"] == 5
    again = saco("export", "coco", "geode", "--to", "out", cwd=home)
    assert again.returncode == 2 and "is not empty" in again.stderr
    missing = saco("export", "coco", "nga", "--to", "other", cwd=home)
    assert missing.returncode == 2 and "saco prepare nga" in missing.stderr
    classes = saco("export", "parquet", "geode", "--one-class", "--to", "other", cwd=home)
    assert classes.returncode == 2 and "has no classes" in classes.stderr
    other = saco("export", "coco", "geode", "--to", "ftp://host/x", cwd=home)
    assert other.returncode == 2 and "is neither a folder nor a bucket" in other.stderr
    shutil.rmtree(home / "out")


@pytest.mark.usefixtures("bucket_server")
@pytest.mark.parametrize("name", ["coco", "webdataset"])
def test_a_bucket_gets_the_same_files(copy: Dataset, written: Written, name: str) -> None:
    out = written(name)
    place = f"s3://{BUCKET}/exports/{name}"
    manifests = {subset: builtin().find(subset) for subset in SUBSETS}
    store = open_store(place)
    store.put(UNFINISHED, b"")  # an export that was stopped may be repeated
    export(name, copy, manifests, place)
    here = {p.relative_to(out).as_posix(): p for p in out.rglob("*.*")}
    assert {key for key, _ in store.list()} == set(here)
    for key, path in here.items():
        assert store.read(key) == path.read_bytes(), key
    with pytest.raises(UsageError, match="is not empty"):
        export(name, copy, manifests, place)


@pytest.mark.usefixtures("bucket_server")
def test_a_file_that_fails_does_not_appear_in_a_bucket() -> None:
    place = open_place(f"s3://{BUCKET}/exports/broken")
    with pytest.raises(ZeroDivisionError), place.open("shard.tar") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert not list(open_store(f"s3://{BUCKET}/exports/broken").list())


def test_help_names_all_formats() -> None:
    assert tuple(FORMATS) == NAMES


def test_a_partial_copy_says_so(home: Path, tmp_path: Path) -> None:
    """A picture that is only missing for now: the export holds the rest, and says so."""
    shutil.copytree(home / "silver", tmp_path / "silver")
    folder = tmp_path / "silver"
    path = folder / "annotations" / builtin().find("geode").annotations.file
    content = json.loads(path.read_bytes())
    lost = content["images"][0]["file_name"]
    (folder / "images" / "geode" / lost).unlink()
    manifests = {"geode": builtin().find("geode")}
    with pytest.raises(Incomplete, match="the picture is missing"):
        export("coco", saco.load(folder), manifests, str(tmp_path / "stopped"))
    from saco_data.dataset import pruned

    names = {each["file_name"] for each in content["images"]}
    pruned.run(path, "", pruned.partial(path), names, {lost: "http_503"})
    # A place where an export was stopped can be used again.
    export("coco", saco.load(folder), manifests, str(tmp_path / "stopped"))
    said = json.loads((tmp_path / "stopped" / "annotations" / "geode.json").read_bytes())
    coverage = said["info"]["saco"]["coverage"]
    assert not coverage["comparable"] and "not comparable" in coverage["note"]
    assert not (tmp_path / "stopped" / "export.unfinished").exists()
    with pytest.raises(UsageError, match="is not prepared"):
        export("coco", saco.load(folder), {"nga": builtin().find("nga")}, str(tmp_path / "n"))
