"""SA-1B as Python objects: pictures with masks, shard by shard."""

from __future__ import annotations

import json
import pickle
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coding

import saco_data as saco
from saco_data.config.settings import load, override
from saco_data.dataset import clicks
from saco_data.dataset.masked_pictures import MaskedSubset
from saco_data.export import export
from saco_data.model.errors import AnnotationError, Incomplete, UsageError
from saco_data.report import preview
from saco_data.report.masklets import GAP
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.storage import shard_inventory
from saco_data.storage.inventory import Entry
from tests.helpers.folders import config
from tests.helpers.pipeline import prepare

TRAIN = "sa1b/train"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sa1b")
    with serve(folder / "served", {TRAIN: build_subset(TRAIN)}) as mounts:
        own = {**mounts.keys["collections"]["sa1b"], "path": "sa1b"}
        settings = config(folder, collections={"sa1b": own})
        assert prepare(settings, TRAIN) == 0
    yield folder


@pytest.fixture
def subset(root: Path) -> MaskedSubset:
    return saco.load(root / "sa1b")["sa1b/train"]


def test_each_picture_has_its_masks(root: Path, subset: MaskedSubset) -> None:
    by_config = saco.load(root / "CONFIG_FRAMES.yaml")["sa1b/train"]
    assert [each.name for each in by_config] == [each.name for each in subset]
    assert len(subset) == 12 == len(list(subset))
    raw = {Path(name).name: content for name, content in build_subset(TRAIN).raw.items()}
    for picture in subset:
        said = json.loads(raw[f"{picture.name}.json"])["annotations"]
        image = picture.image()
        assert (image.mode, image.size) == ("RGB", (160, 120))
        for mask, each in zip(picture.masks(), said, strict=True):
            assert (mask.mask == coding.decode(each["segmentation"]).astype(bool)).all()
            assert mask.mask.dtype == np.bool_
            assert (mask.id, list(mask.points[0])) == (each["id"], each["point_coords"][0])


def test_it_is_a_sequence_in_any_process(subset: MaskedSubset) -> None:
    names = [each.name for each in subset]
    other = pickle.loads(pickle.dumps(subset))
    assert [other[at].name for at in range(-12, 0)] == names
    assert [each.name for each in other[3:9:2]] == names[3:9:2]
    for at in (12, -13):
        with pytest.raises(IndexError):
            subset[at]


def test_what_is_damaged_later_is_an_error(root: Path, subset: MaskedSubset) -> None:
    picture = subset[5]
    texts, image = picture.annotations_path.read_bytes(), picture.path.read_bytes()
    try:
        picture.annotations_path.write_bytes(texts.replace(b'"counts": "', b'"counts": "00', 1))
        picture.path.unlink()
        with pytest.raises(AnnotationError, match="pixels"):
            _ = picture.masks()[0].mask
        with pytest.raises(Incomplete, match="cannot be read"):
            picture.image()
    finally:
        picture.annotations_path.write_bytes(texts)
        picture.path.write_bytes(image)


def test_clicks_of_each_mask(tmp_path: Path, subset: MaskedSubset) -> None:
    done = clicks.write(subset, tmp_path / "clicks.jsonl")
    masks = {mask.id: mask.mask for picture in subset for mask in picture.masks()}
    lines = [json.loads(line) for line in done.path.read_text().splitlines()]
    assert done.prompts == len(lines) == len(masks)
    for line in lines:
        x, y = line["click"]
        assert masks[line["annotation_id"]][y, x]


def test_memory_grows_by_numbers_alone(tmp_path: Path) -> None:
    """Twenty shards of 11,186 pictures, visited in both ways."""
    a_shard, shards, digest = 11_186, 20, "0" * 64
    for number in range(shards):
        first = number * a_shard
        files = (
            Entry(f"annotations/sa_{at}.json", "ok", 1, digest, facts={"masks": 100})
            for at in range(first, first + a_shard)
        )
        made = shard_inventory.make(f"sa_{number:06d}.tar", "all", files, "images")
        path = tmp_path / f"sa_{number:06d}.jsonl"
        path.write_bytes(shard_inventory.encode(made))
    subset = MaskedSubset(TRAIN, tmp_path, tmp_path, tmp_path)
    tracemalloc.start()
    try:
        assert sum(1 for _ in subset) == len(subset) == shards * a_shard
        assert [subset[at].name for at in (0, a_shard, -1)] == [
            f"sa_{at}" for at in (0, a_shard, shards * a_shard - 1)
        ]
        most = tracemalloc.get_traced_memory()[1]
        # Not what threads of other tests still allocate.
        ours = [tracemalloc.Filter(True, "*/saco_data/*")]
        snapshot = tracemalloc.take_snapshot().filter_traces(ours)
    finally:
        tracemalloc.stop()
    # A name as text takes 57 bytes, a path some hundreds.
    assert sum(each.size for each in snapshot.statistics("filename")) < 30 * shards * a_shard
    assert most < 60_000_000


def test_an_unreadable_inventory_is_named(tmp_path: Path) -> None:
    (tmp_path / "sa_000001.jsonl").write_text("{}\n")
    subset = MaskedSubset(TRAIN, tmp_path, tmp_path, tmp_path)
    with pytest.raises(AnnotationError, match="inventory"):
        len(subset)


def test_pictures_are_drawn_with_their_masks(root: Path, tmp_path: Path) -> None:
    settings = override(
        load(root / "CONFIG_FRAMES.yaml"),
        {"directory_save": str(tmp_path), "num_images_show": 3},
    )
    drawn = preview.draw(settings, TRAIN, seed=1)
    assert len(drawn.sheets) == 3 and not drawn.skipped
    assert preview.draw(settings, TRAIN, seed=1).sheets == drawn.sheets
    assert preview.draw(settings, TRAIN, seed=2).sheets != drawn.sheets
    with Image.open(drawn.sheets[0]) as sheet:
        pixels = np.asarray(sheet.convert("RGB"), int)
    # Beside the picture stands the same one, changed where masks are.
    half = (pixels.shape[1] - 3 * GAP) // 2
    left = pixels[GAP:-60, GAP : GAP + half]
    right = pixels[GAP:-60, 2 * GAP + half : 2 * GAP + 2 * half]
    changed = (left != right).any(axis=2).mean()
    assert 0.01 < changed < 0.95
    empty = override(load(root / "CONFIG_FRAMES.yaml"), {"collections": {"sa1b": {"path": "no"}}})
    with pytest.raises(Incomplete, match="no picture is ready"):
        preview.draw(empty, TRAIN)


def test_it_cannot_be_exported(root: Path, tmp_path: Path) -> None:
    settings = load(root / "CONFIG_FRAMES.yaml")
    manifests = {TRAIN: settings.subset(TRAIN).manifest}
    with pytest.raises(UsageError, match="masks without phrases"):
        export("coco", saco.load(settings), manifests, str(tmp_path / "coco"))
