"""Annotation files: what is read, what a derived file keeps, and errors for damaged ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.catalog.registry import builtin
from saco_data.dataset.derive import derive
from saco_data.dataset.index import read
from saco_data.model.errors import AnnotationError, OutputError
from tests.helpers.annotations import document, image

GEODE = builtin().find("geode")


def written(folder: Path, content: Any) -> Path:
    path = folder / "a.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_files_are_counted_once(tmp_path: Path) -> None:
    pairs = [image(0, "a.jpg"), image(1, "a.jpg", text_input="b"), image(2, "c.jpg")]
    index = read(written(tmp_path, document(*pairs)), GEODE)
    assert list(index.products) == ["a.jpg", "c.jpg"]
    assert (index.image_nps, index.masks) == (3, 0)


def test_counts_that_differ_from_the_published_are_one_warning_with_both(tmp_path: Path) -> None:
    index = read(written(tmp_path, document(image(0, "a.jpg"))), GEODE)
    (warning,) = index.warnings
    assert "1 image-NPs (14850)" in warning and "0 masks (7570)" in warning


def test_frame_fields_are_read(tmp_path: Path) -> None:
    pair = image(0, "v/1.jpg", original_video="v.mp4", global_frame_idx=7, image_size=[480, 848])
    product = read(written(tmp_path, document(pair)), GEODE).products["v/1.jpg"]
    assert (product.video, product.frame, product.size) == ("v.mp4", 7, (480, 848))


def test_pairs_that_disagree_about_a_file_are_named(tmp_path: Path) -> None:
    content = document(image(0, "a.jpg"), image(1, "a.jpg", width=80))
    index = read(written(tmp_path, content), GEODE)
    assert any("10000000 and 10000001 disagree about a.jpg" in each for each in index.warnings)
    assert index.products["a.jpg"].width == 160


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"images": [', "not whole JSON"),
        (json.dumps(document(image(0, "a.jpg")))[:-40], "not whole JSON"),
        ("", "not whole JSON"),
        ("[]", "is a list"),
        ('{"images": []}', "has no `annotations`"),
        ('{"images": 3, "annotations": []}', "images"),
        ('{"images": [{"id": 1}], "annotations": []}', "missing required field `file_name`"),
        (json.dumps(document({**image(0, "a"), "width": "wide"})), r"images\[0\].width"),
        (json.dumps(document(image(0, "a"), image(1, "b", width=0))), "size 0 x 120"),
        (json.dumps(document(image(0, "a", width=70_000))), "size 70000 x 120"),
        (json.dumps(document(image(0, "a", image_size=[0, 5]))), "size 5 x 0"),
        (json.dumps(document(image(0, "a", image_size=[60_000, 60_000]))), "size 60000 x 60000"),
        ("[" * 100_000, "is a list"),
        ('{"images": ' + "[" * 100_000, "not whole JSON"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: str, words: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(AnnotationError, match=words) as caught:
        read(path, GEODE)
    assert str(path) in str(caught.value) and caught.value.remedy


def test_a_missing_file_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="saco annotations"):
        read(tmp_path / "none.json", GEODE)


def mask(number: int, of: int | str) -> dict[str, Any]:
    return {"id": number, "image_id": of, "area": 0.1732432725694444, "extra": {"x": [1e-9]}}


def test_a_derived_file_keeps_order_fields_negatives_and_bytes(tmp_path: Path) -> None:
    content = document(
        image(0, "a.jpg", unknown={"deep": [1.10, None]}),
        image(1, "gone.jpg"),
        image(2, "a.jpg", text_input="a negative phrase"),
        masks=[mask(1, 10000001), mask(2, 10000000), mask(3, 10000000)],
    )
    content["licenses"] = [{"name": "ünïcode"}]
    source = written(tmp_path, content)
    before = source.read_bytes()
    kept = derive(source, tmp_path / "out.json", lambda name: name != "gone.jpg")
    assert source.read_bytes() == before
    assert (kept.image_nps, kept.masks) == (2, 2)
    assert kept.removed == {"gone.jpg": [10000001]}
    expected = {
        **content,
        "images": [content["images"][0], content["images"][2]],
        "annotations": content["annotations"][1:],
    }
    text = (tmp_path / "out.json").read_text()
    assert text == json.dumps(expected, ensure_ascii=True).replace('": 1.1,', '": 1.1,')


@pytest.mark.parametrize("masks", [[{"id": 1}], [3], [{"id": 1, "image_id": [2]}]])
def test_an_annotation_without_image_id_is_named(tmp_path: Path, masks: list[Any]) -> None:
    path = written(tmp_path, {**document(image(0, "a"), image(1, "b")), "annotations": masks})
    with pytest.raises(AnnotationError, match="again"):
        derive(path, tmp_path / "to.json", lambda name: name == "a")


def test_the_downloaded_file_is_never_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path, document(image(0, "a"), image(1, "b")))
    before = path.read_bytes()
    (tmp_path / "elsewhere").symlink_to(tmp_path, target_is_directory=True)
    for to in (path, tmp_path / "elsewhere" / path.name):
        with pytest.raises(OutputError, match="never modified"):
            derive(path, to, lambda name: name == "a")
    assert path.read_bytes() == before


def test_nothing_removed_is_a_copy_byte_for_byte(tmp_path: Path) -> None:
    source = written(tmp_path, json.dumps(document(image(0, "a.jpg")), indent=3))
    derive(source, tmp_path / "out.json", lambda name: True)
    assert (tmp_path / "out.json").read_bytes() == source.read_bytes()


ids = st.integers(0, 5)
names = st.sampled_from(["a", "b", "c/d", "ü", 'quo"te'])


@given(
    pairs=st.lists(names, max_size=8),
    masks=st.lists(st.integers(0, 9), max_size=8),
    gone=st.sets(names),
)
def test_kept_and_removed_make_up_the_original(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[str], masks: list[int], gone: set[str]
) -> None:
    folder = tmp_path_factory.mktemp("derive")
    content = document(
        *(image(number, name) for number, name in enumerate(pairs)),
        masks=[mask(number, 10_000_000 + of) for number, of in enumerate(masks)],
    )
    source = written(folder, content)
    kept = derive(source, folder / "out.json", lambda name: name not in gone)
    result = json.loads((folder / "out.json").read_text())
    assert result["images"] == [each for each in content["images"] if each["file_name"] not in gone]
    removed = {number for numbers in kept.removed.values() for number in numbers}
    assert result["annotations"] == [
        each for each in content["annotations"] if each["image_id"] not in removed
    ]
    assert kept.image_nps + len(removed) == len(pairs)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_other_input_raises_an_annotation_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("hostile") / "a.json"
    path.write_bytes(content)
    with pytest.raises(AnnotationError):
        read(path, GEODE)


def test_ids_may_be_text(tmp_path: Path) -> None:
    content = document({**image(0, "a"), "id": "x"}, {**image(1, "b"), "id": "y"})
    content["annotations"] = [mask(1, "x"), mask(2, "y")]
    kept = derive(written(tmp_path, content), tmp_path / "o.json", lambda name: name == "b")
    assert kept.masks == 1 and kept.removed == {"a": ["x"]}


def test_the_published_sample_is_read(shared_data: Path) -> None:
    index = read(shared_data / "droid_sample.json", builtin().find("droid"))
    (product,) = index.products.values()
    assert product.frame is None and product.file_name.endswith("22008760/00002.jpg")
