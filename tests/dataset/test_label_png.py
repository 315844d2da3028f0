"""Label maps read from PNG: the values that Pillow gives, whatever the filters of the rows."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from saco_data.dataset import label_png
from saco_data.dataset.label_png import LabelError, read, read_header, read_patch

SIZES = st.tuples(st.integers(1, 30), st.integers(1, 40))
# Masks have few values and many zeros.
VALUES = st.sampled_from([0, 0, 0, 0, 1, 1, 2, 128, 255])


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def encode(rows: Any, kinds: list[int], width: int, bits: int = 8, colour: int = 0) -> bytes:
    """A PNG of packed `rows`, each filtered in the way its kind says (PNG specification, 9.2)."""
    height, stride = rows.shape
    filtered = bytearray()
    above = [0] * stride
    for kind, row in zip(kinds, rows.astype(int).tolist(), strict=True):
        filtered.append(kind)
        for at, value in enumerate(row):
            left, corner = (row[at - 1], above[at - 1]) if at else (0, 0)
            guess = left + above[at] - corner
            paeth = min((left, above[at], corner), key=lambda each: abs(guess - each))
            predicted = (0, left, above[at], (left + above[at]) // 2, paeth)[kind]
            filtered.append((value - predicted) & 255)
        above = row
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [chunk(b"IHDR", header)]
    if colour == 3:
        parts.append(chunk(b"PLTE", label_png.palette()[: 3 << bits]))
    packed = zlib.compress(bytes(filtered))
    middle = len(packed) // 2
    parts += [chunk(b"IDAT", packed[:middle]), chunk(b"IDAT", packed[middle:]), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def by_pillow(content: bytes) -> Any:
    with Image.open(io.BytesIO(content)) as image:
        return np.array(image)


def written(folder: Path, content: bytes) -> Path:
    path = folder / "labels.png"
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labels")


@given(st.data(), st.sampled_from([1, 8]), st.sampled_from([0, 3]))
def test_values_are_those_of_pillow_for_all_filters(
    folder: Path, data: st.DataObject, bits: int, colour: int
) -> None:
    height, width = data.draw(SIZES)
    stride = (width * bits + 7) // 8
    rows = data.draw(arrays.arrays(np.uint8, (height, stride), elements=VALUES))
    most = data.draw(st.sampled_from([1, 2, 4]))
    kinds = data.draw(st.lists(st.integers(0, most), min_size=height, max_size=height))
    if most == 4 and data.draw(st.booleans()):  # without the average, which Pillow reads
        kinds = [2 if kind == 3 else kind for kind in kinds]
    content = encode(rows, kinds, width, bits, colour)
    found = read(written(folder, content))
    assert (found == by_pillow(content)).all()


@given(arrays.arrays(np.uint8, SIZES, elements=VALUES))
def test_a_patch_is_the_smallest_rectangle(folder: Path, labels: Any) -> None:
    patch = read_patch(written(folder, label_png.encode(labels)))
    assert (patch.height, patch.width) == labels.shape
    assert (patch.full() == labels).all()
    if labels.any():
        for edge in (patch.values[0], patch.values[-1], patch.values[:, 0], patch.values[:, -1]):
            assert edge.any()
    else:
        assert not patch.values.size


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16"])
def test_what_pillow_writes_is_read(tmp_path: Path, mode: str) -> None:
    labels = np.zeros((90, 133), np.uint16)
    labels[20:70, 30:133] = 1
    labels[40:, 50:60] = 0 if mode == "1" else 77
    if mode == "I;16":
        image = Image.fromarray(labels * 500)
    else:
        image = Image.fromarray(labels.astype(bool if mode == "1" else np.uint8))
        image = image.convert("P") if mode == "P" else image
    image.save(tmp_path / "labels.png")
    expected = by_pillow((tmp_path / "labels.png").read_bytes())
    assert (read(tmp_path / "labels.png") == expected).all()


def test_labels_are_written_as_a_palette_picture(tmp_path: Path) -> None:
    labels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    path = written(tmp_path, label_png.encode(labels))
    with Image.open(path) as image:
        assert image.mode == "P"
        assert (np.array(image) == labels).all()
        colours = image.getpalette()
    assert colours is not None
    # DAVIS: background black, then dark red, dark green.
    assert colours[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
    assert len({tuple(colours[at : at + 3]) for at in range(0, 768, 3)}) == 256
    assert read_header(path).bits == 8


def test_a_file_without_its_end_is_read_if_its_pixels_are_there(tmp_path: Path) -> None:
    content = label_png.encode(np.eye(20, dtype=np.uint8))
    end = content.index(b"IEND")
    assert (read(written(tmp_path, content[: end - 12])) == np.eye(20)).all()
    with pytest.raises(LabelError, match="cannot be decoded"):
        read(written(tmp_path, content[: content.index(b"IDAT") + 12]))


def test_a_bomb_is_not_inflated(tmp_path: Path) -> None:
    small = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0))
    bomb = chunk(b"IDAT", zlib.compress(bytes(100 << 20), 9)) + chunk(b"IEND", b"")
    path = written(tmp_path, b"\x89PNG\r\n\x1a\n" + small + bomb)
    assert not read(path).any()
    huge = chunk(b"IHDR", struct.pack(">IIBBBBB", 1 << 20, 1 << 20, 8, 0, 0, 0, 0))
    with pytest.raises(LabelError, match="claims"):
        read(written(tmp_path, b"\x89PNG\r\n\x1a\n" + huge + bomb))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA"])
def test_colour_is_refused(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (5, 4)).save(tmp_path / "labels.png")
    with pytest.raises(LabelError, match="has colour"):
        read_header(tmp_path / "labels.png")


def test_other_files_are_refused(tmp_path: Path) -> None:
    for content, what in ((b"", "empty"), (b"text", "not a PNG"), (b"\x89PNG\r\n\x1a\n", "cut")):
        with pytest.raises(LabelError, match=what):
            read(written(tmp_path, content))


def test_real_masks_are_read_as_pillow_reads_them(shared_data: Path) -> None:
    paths = sorted((shared_data / "vos_chair" / "Annotations").rglob("*.png"))
    assert paths
    for path in paths:
        with Image.open(path) as image:
            assert (read(path) == np.array(image)).all()
            assert bytes(image.getpalette() or []) == label_png.palette()
