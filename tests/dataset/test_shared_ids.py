"""Pairs of different files that share an id: warned of, and no mask of what stays is lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saco_data.dataset import derive
from saco_data.dataset.index import read
from tests.helpers.annotations import annotate, document, image
from tests.helpers.names import manifest


@pytest.mark.parametrize("gone", ["a.jpg", "b.jpg"])
@pytest.mark.parametrize("number", [10_000_001, "a text"])
def test_masks_stay_while_one_of_the_files_stays(
    tmp_path: Path, gone: str, number: int | str
) -> None:
    images = [image(1, "a.jpg", id=number), image(1, "b.jpg", id=number), image(3, "c.jpg")]
    masks = [{"id": 7, "image_id": number}, {"id": 8, "image_id": images[2]["id"]}]
    path = annotate(tmp_path, "nga", document(*images, masks=masks))
    (warning,) = [w for w in read(path, manifest("nga")).warnings if "stands for" in w]
    assert str(number) in warning and "a.jpg, b.jpg" in warning
    to = tmp_path / "derived.json"
    kept = derive.derive(path, to, lambda name: name != gone)
    assert (kept.image_nps, kept.masks) == (2, 2)
    assert [each["id"] for each in json.loads(to.read_bytes())["annotations"]] == [7, 8]
    # When both files are gone, so are the masks.
    kept = derive.derive(path, to, lambda name: name == "c.jpg")
    assert (kept.image_nps, kept.masks) == (1, 1)


def test_pairs_of_one_file_with_one_id_are_not_warned_of(tmp_path: Path) -> None:
    path = annotate(tmp_path, "nga", document(image(1, "a.jpg"), image(1, "a.jpg")))
    assert not [w for w in read(path, manifest("nga")).warnings if "stands for" in w]
