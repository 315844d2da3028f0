"""Pairs, their masks and pictures: what is damaged is named, the rest is used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from saco_data.dataset import pairs
from saco_data.dataset.pictures import NoPicture, open_picture
from saco_data.model.errors import AnnotationError
from tests.helpers.annotations import document, image


def test_a_picture_turned_by_its_orientation_is_turned_back(tmp_path: Path) -> None:
    picture = Image.new("RGB", (40, 20), "red")
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert open_picture(tmp_path, "turned.jpg", (40, 20), 100).size == (40, 20)
    assert open_picture(tmp_path, "turned.jpg", (20, 40), 100).size == (20, 40)
    with pytest.raises(NoPicture):
        open_picture(tmp_path, "../turned.jpg", (20, 40), 100)


def test_control_characters_in_text_are_replaced() -> None:
    assert pairs.plain("a\u202egpj.exe") == "a\ufffdgpj.exe"
    assert pairs.plain("a\x00b\nc\ud800") == "a\ufffdb\ufffdc\ufffd"
    assert pairs.plain("ein grünes Öhr 猫") == "ein grünes Öhr 猫"


@pytest.mark.parametrize("content", [b"{", b'{"images": [{}], "annotations": []}', b"\xff"])
def test_a_damaged_annotation_file_is_an_error_with_its_name(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "silver_x.json"
    with pytest.raises(AnnotationError, match=r"silver_x\.json"):
        pairs.read(path)
    path.write_bytes(content)
    with pytest.raises(AnnotationError, match=r"silver_x\.json"):
        pairs.read(path)


def test_an_annotation_without_a_mask_or_area_is_named(tmp_path: Path) -> None:
    masks = [{"id": 1, "image_id": 10_000_000, "area": "large", "segmentation": 7}]
    path = tmp_path / "x.json"
    path.write_text(json.dumps(document(image(0, "a.jpg"), masks=masks)))
    content = pairs.read(path)
    pair = content.pairs[0]
    found, damaged = pairs.decode_masks(pair, content.of(pair))
    assert found == [] and "annotation 1" in damaged[0]
    assert pairs.area_of(content.of(pair)[0]) is None
