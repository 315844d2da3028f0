"""A prepared copy from Python: items, pictures, tables, loaders, notebooks."""

from __future__ import annotations

import io
import json
import multiprocessing
import pickle
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from saco_data.dataset.dataset import Dataset, Subset, SubsetFiles
from saco_data.dataset.item import Item
from saco_data.model.errors import AnnotationError, Incomplete
from tests.helpers.annotations import document, image
from tests.helpers.rle import encode

WIDTH, HEIGHT = 160, 120


def rectangle(left: int, top: int, width: int, height: int) -> Any:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def annotation(number: int, of: int, *box: int) -> dict[str, Any]:
    """A mask that is a rectangle in pixels (left, top, width, height), written as SA-Co does."""
    scale = (WIDTH, HEIGHT, WIDTH, HEIGHT)
    return {
        "id": number,
        "image_id": 10_000_000 + of,
        "area": box[2] * box[3] / (WIDTH * HEIGHT),
        "bbox": [each / side for each, side in zip(box, scale, strict=True)],
        "segmentation": encode(rectangle(*box)),
    }


def prepared(root: Path, *masks: dict[str, Any]) -> Dataset:
    """A prepared copy of one subset: b.jpg with two phrases, c/d.jpg with one."""
    content = document(
        image(0, "b.jpg", text_input="red <b>cup</b>"),
        image(1, "c/d.jpg", text_input="a dog"),
        image(2, "b.jpg", text_input="a cat"),
        masks=list(masks) or [annotation(1, 0, 16, 12, 40, 30), annotation(2, 0, 100, 50, 20, 60)],
    )
    files = SubsetFiles(root / "annotations" / "silver_nga.json", root / "images" / "nga")
    files.annotations.parent.mkdir(parents=True)
    files.annotations.write_text(json.dumps(content))
    for name, colour in (("b.jpg", (255, 0, 0)), ("c/d.jpg", (0, 0, 255))):
        path = files.images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT), colour).save(path)
    return Dataset({"nga": files})


@pytest.fixture
def nga(tmp_path: Path) -> Subset:
    subset = prepared(tmp_path)["nga"]
    assert isinstance(subset, Subset)
    return subset


def test_items_come_in_the_order_of_the_file(nga: Subset) -> None:
    assert len(nga) == 3
    assert [item.id for item in nga] == [10_000_000, 10_000_001, 10_000_002]
    assert [item.phrase for item in nga] == ["red <b>cup</b>", "a dog", "a cat"]
    assert nga[-1].id == 10_000_002 and [item.id for item in nga[1:]] == [10_000_001, 10_000_002]
    assert nga[1] in nga and nga[1] == nga[1] != nga[0]
    with pytest.raises(IndexError):
        nga[3]


def test_masks_and_boxes_are_in_pixels(nga: Subset) -> None:
    item = nga[0]
    assert item.masks.dtype == bool and item.masks.shape == (2, HEIGHT, WIDTH)
    assert np.array_equal(item.masks[0], rectangle(16, 12, 40, 30).astype(bool))
    assert np.array_equal(item.masks[1], rectangle(100, 50, 20, 60).astype(bool))
    assert item.boxes == pytest.approx(np.array([[16, 12, 40, 30], [100, 50, 20, 60]]))
    assert not item.is_negative


def test_a_negative_phrase_has_no_masks(nga: Subset) -> None:
    item = nga[1]
    assert item.is_negative
    assert item.masks.shape == (0, HEIGHT, WIDTH) and item.boxes.shape == (0, 4)


def test_each_picture_comes_once_with_all_its_phrases(nga: Subset) -> None:
    pictures = list(nga.pictures())
    assert [picture.file_name for picture in pictures] == ["b.jpg", "c/d.jpg"]
    assert [[item.phrase for item in picture.items] for picture in pictures] == [
        ["red <b>cup</b>", "a cat"],
        ["a dog"],
    ]
    assert pictures[1].path == nga.files.images / "c" / "d.jpg"
    assert pictures[0].image().size == (WIDTH, HEIGHT)


def test_a_table_has_a_row_for_each_pair(nga: Subset) -> None:
    table = nga.to_pandas()
    assert list(table["id"]) == [10_000_000, 10_000_001, 10_000_002]
    assert list(table["masks"]) == [2, 0, 0] and list(table["is_negative"]) == [False, True, True]
    assert table["area"][0] == pytest.approx((40 * 30 + 20 * 60) / (WIDTH * HEIGHT))
    assert set(table["width"]) == {WIDTH} and set(table["height"]) == {HEIGHT}


def colour_and_masks(item: Item) -> tuple[tuple[int, ...], int]:
    red, green, blue = np.array(item.image())[0, 0].tolist()
    return (red, green, blue), len(item.masks)


def test_samples_are_made_in_several_workers(nga: Subset) -> None:
    len(nga)  # what was read here must not be sent to the workers
    samples = nga.torch(colour_and_masks)
    assert len(pickle.dumps(samples)) < 2000
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as workers:
        made = list(workers.map(samples.__getitem__, range(len(samples))))
    assert [masks for _, masks in made] == [2, 0, 0]
    assert made[0][0][0] > 200 > 50 > made[0][0][2] and made[1][0][2] > 200


def test_a_sample_holds_plain_arrays(nga: Subset) -> None:
    sample = nga.torch()[0]
    assert sample["image"].shape == (HEIGHT, WIDTH, 3) and sample["image"].dtype == np.uint8
    assert sample["masks"].shape == (2, HEIGHT, WIDTH) and sample["boxes"].shape == (2, 4)
    assert (sample["id"], sample["phrase"]) == (10_000_000, "red <b>cup</b>")


def test_a_notebook_shows_picture_masks_and_escaped_phrase(nga: Subset) -> None:
    view = np.asarray(Image.open(io.BytesIO(nga[0]._repr_png_())).convert("RGB"), int)
    assert view.shape == (HEIGHT, WIDTH, 3)
    inside = nga[0].masks.any(axis=0)
    assert np.ptp(view[inside], axis=0).max() > 50 and abs(view[5, 5] - (254, 0, 0)).max() < 5
    text = nga[0]._repr_html_()
    assert "red &lt;b&gt;cup&lt;/b&gt;: 2 masks" in text and "data:image/png;base64," in text
    assert "a dog: not in the picture" in nga[1]._repr_html_()


def test_names_that_are_nearly_right_get_a_hint(tmp_path: Path) -> None:
    dataset = prepared(tmp_path)
    assert list(dataset) == ["nga"] and len(dataset) == 1 and "sav" not in dataset
    with pytest.raises(KeyError, match="did you mean 'nga'"):
        dataset["ngaa"]


@pytest.mark.parametrize("name", ["NGA", "silver/nga", "Silver/Nga"])
def test_a_subset_is_named_as_on_the_command_line(tmp_path: Path, name: str) -> None:
    dataset = prepared(tmp_path)
    assert name in dataset and dataset[name] is dataset["nga"]
    assert "mine/nga" not in dataset


def test_what_is_damaged_or_missing_is_named(tmp_path: Path) -> None:
    cut = annotation(7, 0, 16, 12, 40, 30)
    cut["segmentation"]["counts"] = cut["segmentation"]["counts"][:-1]
    cut["bbox"] = [0.1, 0.2, None, 0.4]
    item = prepared(tmp_path, cut)["nga"][0]
    with pytest.raises(AnnotationError, match=r"annotation 7 of b\.jpg: its RLE"):
        item.masks  # noqa: B018
    with pytest.raises(AnnotationError, match=r"annotation 7 of b\.jpg: its bbox"):
        item.boxes  # noqa: B018
    item.path.unlink()
    with pytest.raises(Incomplete, match=r"b\.jpg: No such file.*saco prepare nga"):
        item.image()
    missing = Subset("nga", SubsetFiles(tmp_path / "none.json", tmp_path))
    with pytest.raises(AnnotationError, match="missing"):
        len(missing)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # pytest would keep pycocotools' ones
def test_memory_does_not_grow_with_what_was_visited(tmp_path: Path) -> None:
    masks = [annotation(n, n % 3, n % 100, n % 80, 30, 30) for n in range(60)]
    nga = prepared(tmp_path, *masks)["nga"]

    def peak(rounds: int) -> int:
        tracemalloc.start()
        for _ in range(rounds):
            for picture in nga.pictures():
                for item in picture.items:
                    assert len(item.masks) == 20
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    first = peak(1)
    assert peak(20) < first * 1.2
