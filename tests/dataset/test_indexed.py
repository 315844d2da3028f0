"""An annotation file by the places of its entries: the same pairs as when it is read whole."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.dataset import indexed, pairs
from saco_data.dataset.dataset import Subset, SubsetFiles
from saco_data.model.errors import AnnotationError
from tests.helpers.annotations import document, image

NAMES = ["a.jpg", "b/ä {}, [].jpg", "c.jpg"]


def content(names: list[str], owners: list[int]) -> dict[str, Any]:
    images = [image(at, name, text_input=f'the "{at}" }}, {{') for at, name in enumerate(names)]
    masks = [
        {"id": at, "image_id": 10_000_000 + owner, "area": at / 100}
        for at, owner in enumerate(owners)
    ]
    return document(*images, masks=masks)


def written(path: Path, found: Any, **how: Any) -> Path:
    path.write_text(json.dumps(found, **how), encoding="utf-8")
    return path


def seen(found: Any) -> list[Any]:
    """All that a reader gives: pairs with their annotations, and the pictures."""
    each = [
        (pair.id, pair.file_name, pair.phrase, [bytes(a.area) for a in found.of(pair)])
        for pair in found.pairs
    ]
    return [each, [[pair.id for pair in members] for members in found.pictures()]]


@given(
    st.lists(st.sampled_from(NAMES), max_size=8),
    st.lists(st.integers(0, 9), max_size=8),
    st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}]),
)
def test_it_gives_what_the_whole_file_gives(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], owners: list[int], how: Any
) -> None:
    path = written(tmp_path_factory.mktemp("index") / "x.json", content(names, owners), **how)
    assert seen(indexed.read(path)) == seen(pairs.read(path))


@pytest.mark.parametrize("change", ["text ids", "byte order mark", "NaN", "cut", "no name"])
def test_other_files_are_read_as_a_whole(tmp_path: Path, change: str) -> None:
    found = content(NAMES, [0, 2, 2])
    if change == "text ids":
        for each in found["images"]:
            each["id"] = str(each["id"])
    if change == "NaN":
        found["images"][0]["width_of_nothing"] = float("nan")
    if change == "no name":
        del found["images"][1]["file_name"]
    path = written(tmp_path / "x.json", found)
    if change == "byte order mark":
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    if change == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(indexed.Unusual):
        indexed.read(path)
    subset = Subset("nga", SubsetFiles(path, tmp_path))
    if change in ("cut", "no name"):
        with pytest.raises(AnnotationError):
            len(subset)
    else:
        assert [item.file_name for item in subset] == NAMES


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is old and large enough to be remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(indexed, "REMEMBERED", 0)
    path = written(tmp_path / "x.json", content(NAMES, [0, 2, 2]))
    os.utime(path, (1e9, 1e9))
    return path


def test_the_index_of_an_unchanged_file_is_remembered(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = seen(indexed.read(old))
    (kept,) = indexed.folder().iterdir()
    with monkeypatch.context() as context:
        context.setattr(indexed, "_index", None)
        assert seen(indexed.read(old)) == before
    kept.write_bytes(kept.read_bytes()[:-300])
    assert seen(indexed.read(old)) == before
    written(old, content(NAMES[:2], [1]))
    os.utime(old, (1e9 + 1, 1e9 + 1))
    assert seen(indexed.read(old)) == seen(pairs.read(old)) != before


def test_a_file_that_may_still_change_is_not_remembered(old: Path) -> None:
    os.utime(old)
    indexed.read(old)
    assert not indexed.folder().exists()


def test_a_file_that_is_cut_meanwhile_is_told(old: Path) -> None:
    found = indexed.read(old)
    os.truncate(old, 10)
    with pytest.raises(AnnotationError, match="changed while it was read"):
        list(found.pairs)
