"""SA-V's train annotations: masks, and statistics that serve as checksums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saco_data.dataset import sav_json
from saco_data.model.errors import AnnotationError
from tests.helpers.rle import encode

HEIGHT, WIDTH = 20, 30


def masks() -> Any:
    """Three rows of two objects: one is there, gone, and there again; one comes late."""
    drawn = np.zeros((3, 2, HEIGHT, WIDTH), bool)
    drawn[0, 0, 2:5, 2:6] = drawn[2, 0, 2:5, 2:8] = True
    drawn[2, 1, 4:9, 5:9] = True  # which overlaps the first
    return drawn


def content() -> dict[str, Any]:
    """What SA-V would write of them."""
    return {
        "video_id": "sav_000042",
        "video_frame_count": 9.0,
        "video_height": float(HEIGHT),
        "video_width": float(WIDTH),
        "masklet": [[encode(mask) for mask in row] for row in masks()],
        "masklet_id": [0, 1],
        "masklet_num": 2,
        "masklet_size_abs": [15.0, 20.0],
        "masklet_size_rel": [0.025, 0.0333333333],
        "masklet_visibility_changes": [2, 0],
        "masklet_first_appeared_frame": [0.0, 2.0],
        "masklet_frame_count": [3, 3],
    }


def written(folder: Path, changed: dict[str, Any], name: str = "sav_000042_manual.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content() | changed))
    return path


def test_masklets_are_read(tmp_path: Path) -> None:
    found = sav_json.read(written(tmp_path, {}))
    assert (found.video, found.kind, found.frame_count) == ("sav_000042", "manual", 9)
    assert found.frames == [0, 4, 8]
    for frame, row in zip(found.frames, masks(), strict=True):
        assert list(found.masks(frame)) == [0, 1]
        assert all((found.masks(frame)[name] == row[name]).all() for name in (0, 1))
    with pytest.raises(KeyError):
        found.masks(2)
    assert found.differences() == []
    assert sav_json.read(written(tmp_path, {}, "sav_000042_auto.json")).kind == "auto"


def test_null_is_an_absent_object(tmp_path: Path) -> None:
    rows = content()["masklet"]
    rows[1][0] = rows[0][1] = None
    found = sav_json.read(written(tmp_path, {"masklet": rows}))
    assert found.differences() == []
    assert not found.masks(4)[0].any()


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("masklet_first_appeared_frame", [0, 1], "object 1: first_row is 2, the file says 1"),
        ("masklet_visibility_changes", [1, 0], "object 0: changes is 2, the file says 1"),
        ("masklet_size_abs", [15.0, 20.1], "object 1: area is 20.0, the file says 20.1"),
        ("masklet_frame_count", [3, 4], "object 1: rows is 3, the file says 4"),
        ("video_frame_count", 13, "13 frames need 4 rows, it has 3"),
    ],
)
def test_a_statistic_that_does_not_fit_is_named(
    tmp_path: Path, key: str, value: Any, what: str
) -> None:
    assert sav_json.read(written(tmp_path, {key: value})).differences() == [what]


def test_a_changed_mask_is_noticed(tmp_path: Path) -> None:
    rows = content()["masklet"]
    rows[2][1] = rows[1][1]
    assert sav_json.read(written(tmp_path, {"masklet": rows})).differences() == []  # no mask left
    rows[2][0] = rows[0][0]
    assert sav_json.read(written(tmp_path, {"masklet": rows})).differences()


def test_a_damaged_mask_names_its_place(tmp_path: Path) -> None:
    rows = content()["masklet"]
    rows[2][1]["counts"] = rows[2][1]["counts"][:-1]
    found = sav_json.read(written(tmp_path, {"masklet": rows}))
    for work in (found.statistics, lambda: found.masks(8)):
        with pytest.raises(AnnotationError, match="object 1 in row 2"):
            work()


@pytest.mark.parametrize(
    "changed",
    [
        {"masklet": None},
        {"masklet": [[None]]},
        {"masklet_id": [1, 1]},
        {"masklet_size_abs": [1.0]},
        {"video_width": "wide"},
        {"video_width": 31.0},
    ],
)
def test_another_file_is_refused(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(AnnotationError, match="not a file of SA-V"):
        sav_json.read(written(tmp_path, changed))


@pytest.mark.parametrize(("kind", "objects"), [("manual", 5), ("auto", 9)])
def test_the_published_example_is_sound(shared_data: Path, kind: str, objects: int) -> None:
    found = sav_json.read(shared_data / f"sav_000001_{kind}.json")
    assert found.kind == kind
    assert len(found.objects) == objects
    assert len(found.frames) == 121
    assert found.differences() == []
    deepest = max(np.sum(list(found.masks(frame).values()), axis=0).max() for frame in found.frames)
    assert deepest == {"manual": 3, "auto": 2}[kind]
