"""Planning, pruning, counting and reports accept the same annotation files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.catalog.registry import builtin
from saco_data.dataset import index, pairs
from saco_data.dataset.derive import coverage, derive
from saco_data.model.errors import AnnotationError
from tests.helpers.annotations import document, image

GEODE = builtin().find("geode")
READERS: tuple[Callable[[Path], object], ...] = (
    lambda path: index.read(path, GEODE),
    pairs.read,
    lambda path: coverage(path, lambda name: True),
    lambda path: derive(path, path.with_name("derived.json"), lambda name: name != "1.jpg"),
)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "silver_x.json"
    path.write_bytes(content)
    return path


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


def strict(path: Path) -> Any:
    """The content of a file that must be UTF-8 and valid JSON."""
    return json.loads(path.read_bytes().decode("utf-8"), parse_constant=refuse_constant)


def example() -> bytes:
    """Two pictures of 64 x 48 pixels, the first with a mask, the second with a negative phrase."""
    first = image(0, "0.jpg", width=64, height=48, text_input="cafe")
    second = image(1, "1.jpg", width=64, height=48)
    mask = {
        "id": 1,
        "image_id": first["id"],
        "area": 0.25,
        "bbox": [0, 0, 0.5, 0.5],
        "segmentation": {"counts": "PPYo1", "size": [48, 64]},
    }
    return json.dumps(document(first, second, masks=[mask])).encode()


UNUSUAL: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "byte order mark": (lambda content: b"\xef\xbb\xbf" + content, "byte order mark"),
    "NaN": (lambda content: content.replace(b"0.25", b"NaN"), "1 × NaN or Infinity"),
    "-Infinity": (lambda content: content.replace(b"0.25", b"-Infinity"), "NaN or Infinity"),
    "Latin-1 phrase": (lambda content: content.replace(b"cafe", b"caf\xe9"), "1 × a byte"),
    "bytes in RLE": (lambda content: content.replace(b"PPYo1", b"PP\xff\xfe1"), "2 × a byte"),
    "float width": (lambda content: content.replace(b": 64,", b": 64.0,"), ""),
    "float id": (lambda content: content.replace(b'"image_id": 10000000', b'"image_id": 1e7'), ""),
    "surrogate": (
        lambda content: content.replace(b"cafe", b"caf\\ud800"),
        "1 × half a surrogate pair",
    ),
    "no phrase": (lambda content: content.replace(b'"cafe"', b"null"), ""),
    "a large number": (lambda content: content.replace(b"0.25", b"1e999"), ""),
}


@pytest.mark.parametrize("kind", UNUSUAL)
def test_unusual_files_are_read_by_all_with_a_warning(tmp_path: Path, kind: str) -> None:
    change, warning = UNUSUAL[kind]
    content = change(example())
    assert content != example()
    path = written(tmp_path, content)
    found = index.read(path, GEODE)
    assert (list(found.products), found.masks) == (["0.jpg", "1.jpg"], 1)
    assert found.products["0.jpg"].pixels == (64, 48)
    said = [each for each in found.warnings if "than published" not in each]
    assert bool(said) == bool(warning) and all(warning in each for each in said)
    read = pairs.read(path)
    assert [f"{path.name} {each}" for each in read.repairs] == said
    assert [bool(read.of(pair)) for pair in read.pairs] == [True, False]
    counted = coverage(path, lambda name: True)
    assert (counted.image_nps, counted.masks, counted.removed) == (2, 1, {})


@pytest.mark.parametrize("keeps", [lambda name: True, lambda name: name == "0.jpg"])
@pytest.mark.parametrize("kind", UNUSUAL)
def test_a_derived_file_is_valid_json_in_utf8(
    tmp_path: Path, kind: str, keeps: Callable[[str], bool]
) -> None:
    path = written(tmp_path, UNUSUAL[kind][0](example()))
    derive(path, tmp_path / "derived.json", keeps)
    derived = strict(tmp_path / "derived.json")
    assert [each["file_name"] for each in derived["images"]] == list(
        filter(keeps, ("0.jpg", "1.jpg"))
    )
    assert len(derived["annotations"]) == 1
    assert index.read(tmp_path / "derived.json", GEODE).warnings[:-1] == ()


def test_latin_1_is_read_as_what_it_means_and_utf8_stays(tmp_path: Path) -> None:
    content = example().replace(b"cafe", b"caf\xe9 \xe2\x82\xac")
    assert pairs.read(written(tmp_path, content)).pairs[0].phrase == "café €"


def test_a_mask_with_bytes_that_are_no_rle_is_damaged_by_name(tmp_path: Path) -> None:
    read = pairs.read(written(tmp_path, UNUSUAL["bytes in RLE"][0](example())))
    masks, damaged = pairs.decode_masks(read.pairs[0], read.of(read.pairs[0]))
    assert masks == [] and "annotation 1: its RLE holds characters" in damaged[0]


def test_nan_in_a_phrase_is_text(tmp_path: Path) -> None:
    content = example().replace(b"cafe", rb"a \"NaN\" sign, -Infinity").replace(b"0.25", b"NaN")
    derive(written(tmp_path, content), tmp_path / "derived.json", lambda name: True)
    derived = strict(tmp_path / "derived.json")
    assert derived["images"][0]["text_input"] == 'a "NaN" sign, -Infinity'
    assert derived["annotations"][0]["area"] is None


def test_ids_and_names_cannot_forge_a_line_of_a_warning(tmp_path: Path) -> None:
    first = image(0, "a\u202egpj.exe.jpg", id="x\n2026-01-01 complete")
    content = document(first, {**first, "id": 2, "width": 7})
    warnings = index.read(written(tmp_path, json.dumps(content).encode()), GEODE).warnings
    assert any("x\ufffd2026-01-01 complete and 2 disagree" in each for each in warnings)
    assert all(each.isprintable() for each in warnings)
    with pytest.raises(AnnotationError) as caught:
        pairs.read(written(tmp_path, json.dumps(document({**first, "width": 0})).encode()))
    assert str(caught.value).isprintable()


def test_only_halves_of_surrogate_pairs_are_replaced(tmp_path: Path) -> None:
    content = example().replace(b"cafe", rb"\ud83d\ude00 \\ud800 \uD83D \" \udE00 \u00e9")
    assert pairs.read(written(tmp_path, content)).pairs[0].phrase == '😀 \\ud800 � " � é'


def test_bytes_that_are_not_utf8_are_counted_across_slices(tmp_path: Path) -> None:
    # The euro sign lies across the end of the first slice of a mebibyte.
    start = b'{"info": "'
    filling = b"x" * ((1 << 20) - len(start) - 1)
    content = start + filling + "€".encode() + b'\xe9", ' + example()[1:]
    path = written(tmp_path, content)
    (repair,) = pairs.read(path).repairs
    assert f"1 × a byte that is not UTF-8, first at byte {(1 << 20) + 2}" in repair


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        (b": 64,", b": 64.5,", "size 64.5 x 48"),
        (b": 64,", b": NaN,", "images[0].width"),
        (b": 64,", b": true,", "images[0].width"),
        (b'"file_name": "1.jpg"', b'"file_name": 1', "images[1].file_name"),
        (b'"image_id": 10000000', b'"image_id": null', "annotations[0].image_id"),
        (b'"id": 10000001', b'"global_frame_idx": 1.5, "id": 5', "frame number 1.5"),
    ],
)
def test_values_that_make_no_sense_are_refused_by_all_with_their_place(
    tmp_path: Path, old: bytes, new: bytes, place: str
) -> None:
    assert old in example()
    path = written(tmp_path, example().replace(old, new))
    said = set()
    for reader in READERS:
        with pytest.raises(AnnotationError) as caught:
            reader(path)
        said.add(str(caught.value))
    assert len(said) == 1 and place in said.pop()


@given(
    at=st.integers(0, len(example()) - 1),
    cut=st.integers(0, 3),
    put=st.binary(max_size=3) | st.sampled_from([b"NaN", b"1e999", b"null", b'"', b"\\", b"[{"]),
)
def test_all_accept_or_all_refuse(
    tmp_path_factory: pytest.TempPathFactory, at: int, cut: int, put: bytes
) -> None:
    folder = tmp_path_factory.mktemp("agree")
    path = written(folder, example()[:at] + put + example()[at + cut :])
    answers = set()
    for reader in READERS:
        try:
            reader(path)
            answers.add("")
        except AnnotationError as error:
            answers.add(str(error))
    assert len(answers) == 1
    if answers == {""}:
        strict(folder / "derived.json")
        content = pairs.read(path)
        for pair in content.pairs:
            assert isinstance(pair.phrase, str)
            pairs.decode_masks(pair, content.of(pair))
            for each in content.of(pair):
                pairs.area_of(each)


def nested(levels: int) -> bytes:
    return example().replace(b'"text_input": "cafe"', b'"x": ' + b"[" * levels + b"]" * levels)


def test_deep_nesting_is_refused_wherever_the_reader_is_called_from(tmp_path: Path) -> None:
    def read_from(depth: int, reader: Callable[[Path], object], path: Path) -> None:
        if depth:
            read_from(depth - 1, reader, path)
            return
        with contextlib.suppress(AnnotationError):
            reader(path)

    for levels in range(500, 1001, 20):
        path = written(tmp_path, nested(levels))
        for reader in READERS:
            read_from(levels % 300, reader, path)
    with pytest.raises(AnnotationError):
        pairs.read(written(tmp_path, nested(100_000)))


def test_an_unfinished_string_of_quotes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="not whole JSON"):
        pairs.read(written(tmp_path, b'{"NaN": "' + b'\\"' * 500_000))
