"""The VOS layout: what its readers rely on holds, and no mask is lost on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from saco_data.dataset import vos
from saco_data.model.errors import DiskFull, OutputError, UsageError
from saco_data.model.faults import FaultsFound

HEIGHT, WIDTH = 8, 12


@dataclass
class Drawn:
    """A video whose masks are given."""

    name: str
    frames: Sequence[Path]
    drawn: Mapping[int, Mapping[int, Any]]
    objects: Mapping[int, Any] = field(default_factory=lambda: {n: f"object {n}" for n in range(9)})

    @property
    def annotated(self) -> list[int]:
        return sorted(self.drawn)

    def masks(self, frame: int) -> Mapping[int, Any]:
        return self.drawn[frame]


def box(top: int, left: int, rows: int = 2, columns: int = 2) -> Any:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top : top + rows, left : left + columns] = True
    return mask


def pictures(folder: Path, count: int, suffix: str = ".jpg") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:05d}{suffix}" for number in range(count)]
    for number, path in enumerate(paths):
        if not path.exists():
            Image.new("RGB", (WIDTH, HEIGHT), (number, 0, 0)).save(path)
    return paths


def opened(root: Path) -> dict[str, dict[int, Any]]:
    """The label maps by video and frame, opened by the rules of the tools that read the layout."""
    found: dict[str, dict[int, Any]] = {}
    for folder in sorted((root / "Annotations").iterdir()):
        frames = [int(path.stem) for path in (root / "JPEGImages" / folder.name).iterdir()]
        assert sorted(frames) == list(range(len(frames)))
        labels = {}
        for path in folder.iterdir():
            assert len(path.stem) == 5
            with Image.open(path) as image:
                assert image.mode == "P"
                labels[int(path.stem)] = np.array(image)
        assert labels.keys() <= set(frames)
        prompted = set(np.unique(labels[0])) - {0}
        assert prompted  # a prompt for every object, in frame 0
        assert all(set(np.unique(each)) - {0} <= prompted for each in labels.values())
        found[folder.name] = labels
    mapping = json.loads((root / "mapping.json").read_text())
    assert list(found) == sorted(mapping["videos"])
    for name, labels in found.items():
        assert {str(each) for each in np.unique(labels[0]) if each} == set(
            mapping["videos"][name]["objects"]
        )
    return found


def mapping(root: Path) -> Any:
    return json.loads((root / "mapping.json").read_text())


def test_an_object_that_comes_late_gets_a_video_of_its_own(tmp_path: Path) -> None:
    frames = pictures(tmp_path / "in", 6)
    drawn = {1: {1: box(0, 0)}, 3: {1: box(1, 1), 2: box(4, 4)}, 5: {2: box(5, 5)}}
    layout = vos.write([Drawn("v", frames, drawn)], tmp_path / "out")
    found = opened(tmp_path / "out")
    # Frame 0 has no annotation: it is cut off.
    assert {name: sorted(labels) for name, labels in found.items()} == {
        "v": [0, 2, 4],
        "v_002": [0, 2],
    }
    assert (found["v"][2] == box(1, 1)).all()
    assert not found["v"][4].any()
    assert (found["v_002"][0] == 2 * box(4, 4)).all()
    videos = mapping(tmp_path / "out")["videos"]
    assert videos["v"]["frames"] == [path.name for path in frames[1:]]
    assert videos["v_002"] == {
        "source": "v",
        "why": "late",
        "objects": {"2": "object 2"},
        "frames": [path.name for path in frames[3:]],
    }
    assert layout.as_json() == {
        "version": 1,
        "videos": 2,
        "late": 1,
        "overlapping": 0,
        "objects": 2,
        "frames": 8,
        "label_maps": 5,
        "skipped": [],
    }


def test_an_object_that_overlaps_another_gets_a_video_of_its_own(tmp_path: Path) -> None:
    frames = pictures(tmp_path / "in", 2)
    drawn = {0: {1: box(0, 0), 2: box(4, 4), 3: box(0, 6)}, 1: {1: box(4, 4), 2: box(4, 5)}}
    vos.write([Drawn("v", frames, drawn)], tmp_path / "out")
    found = opened(tmp_path / "out")
    assert set(np.unique(found["v"][0])) == {0, 1, 3}
    assert (found["v_002"][1] == 2 * box(4, 5)).all()
    assert mapping(tmp_path / "out")["videos"]["v_002"]["why"] == "overlap"


@st.composite
def videos(draw: st.DrawFn) -> dict[int, dict[int, Any]]:
    count = draw(st.integers(1, 5))
    annotated = draw(st.sets(st.integers(0, count - 1), min_size=1))
    mask = st.builds(box, st.integers(0, 6), st.integers(0, 10), st.integers(0, 3))
    return {
        frame: draw(st.dictionaries(st.integers(1, 5), mask, max_size=4)) for frame in annotated
    }


@given(videos())
def test_every_mask_is_found_again(
    tmp_path_factory: pytest.TempPathFactory, drawn: dict[int, dict[int, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("vos")
    frames = pictures(tmp_path_factory.getbasetemp() / "shared", 5)
    if not any(mask.any() for masks in drawn.values() for mask in masks.values()):
        with pytest.raises(UsageError, match="no video has a mask"):
            vos.write([Drawn("v", frames, drawn)], folder / "out")
        return
    vos.write([Drawn("v", frames, drawn)], folder / "out")
    found, told = opened(folder / "out"), mapping(folder / "out")["videos"]
    pixels = {}
    for name, video in told.items():
        start = int(video["frames"][0].partition(".")[0])
        for label in video["objects"]:
            for frame, labels in found[name].items():
                pixels[int(label), start + frame] = labels == int(label)
    for frame, masks in drawn.items():
        for label, mask in masks.items():
            kept = pixels.pop((label, frame), None)
            assert (kept == mask).all() if kept is not None else not mask.any()
    assert not any(rest.any() for rest in pixels.values())


def test_unknown_pixels_are_left_out_unless_kept(tmp_path: Path) -> None:
    frames = pictures(tmp_path / "in", 1)
    video = Drawn("v", frames, {0: {1: box(0, 0), 255: box(4, 4)}})
    vos.write([video], tmp_path / "out")
    assert set(np.unique(opened(tmp_path / "out")["v"][0])) == {0, 1}
    vos.write([video], tmp_path / "kept", keep_void=True)
    with Image.open(tmp_path / "kept/Annotations/v/00000.png") as image:
        assert (np.array(image) == box(0, 0) + 255 * box(4, 4).astype(np.uint8)).all()


def test_pictures_are_the_same_files_or_encoded(tmp_path: Path) -> None:
    first, second = pictures(tmp_path / "a", 1), pictures(tmp_path / "b", 1, ".png")
    drawn = {0: {1: box(0, 0)}}
    vos.write([Drawn("a", first, drawn), Drawn("b", second, drawn)], tmp_path / "out")
    assert (tmp_path / "out/JPEGImages/a/00000.jpg").samefile(first[0])
    with Image.open(tmp_path / "out/JPEGImages/b/00000.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (WIDTH, HEIGHT))


def test_names_do_not_collide(tmp_path: Path) -> None:
    frames = pictures(tmp_path / "in", 2)
    late = Drawn("v", frames, {0: {1: box(0, 0)}, 1: {2: box(4, 4)}})
    vos.write([late, Drawn("v_002", frames, {0: {1: box(0, 0)}})], tmp_path / "out")
    assert sorted(opened(tmp_path / "out")) == ["v", "v_002", "v_002_"]


def test_a_video_without_masks_is_left_out_and_named(tmp_path: Path) -> None:
    frames = pictures(tmp_path / "in", 1)
    some, none = Drawn("some", frames, {0: {1: box(0, 0)}}), Drawn("none", frames, {0: {}})
    assert vos.write([some, none], tmp_path / "out").skipped == ("none",)
    assert mapping(tmp_path / "out")["skipped"] == ["none"]


def test_nothing_is_written_where_anything_is_wrong(tmp_path: Path) -> None:
    frames = pictures(tmp_path / "in", 2)
    wide = np.ones((HEIGHT, WIDTH + 1), bool)
    video = Drawn("v", frames, {0: {1: box(0, 0), 2: wide}, 1: {1: box(0, 0)}})
    frames[1].write_bytes(b"no picture")
    with pytest.raises(FaultsFound) as caught:
        vos.write([video], tmp_path / "out")
    assert [(each.kind, each.where) for each in caught.value.faults] == [
        ("mask and picture differ in size", "v, frame 00000.jpg"),
        ("picture cannot be opened", "v, frame 00001.jpg"),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]


def test_a_folder_with_files_is_not_written_into(tmp_path: Path) -> None:
    frames = pictures(tmp_path / "in", 1)
    with pytest.raises(OutputError, match="is not empty"):
        vos.write([Drawn("v", frames, {0: {1: box(0, 0)}})], tmp_path / "in")


def test_a_broken_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(vos, "encode", fail)
    frames = pictures(tmp_path / "in", 1)
    with pytest.raises(DiskFull):
        vos.write([Drawn("v", frames, {0: {1: box(0, 0)}})], tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
