"""Videos with masks from PNG folders, YouTube-VIS, COCO with tracks and SA-V JSON, converted."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from saco_data.dataset import label_png, vos
from saco_data.dataset.masks import DamagedMask
from saco_data.dataset.vos_json import to_mask
from saco_data.dataset.vos_open import open_videos
from saco_data.model.errors import UsageError
from saco_data.model.faults import FaultsFound
from tests.conftest import Saco
from tests.dataset.test_vos import HEIGHT, WIDTH, box, mapping, opened, pictures
from tests.helpers.rle import encode


def uncompressed(mask: Any) -> dict[str, Any]:
    flat = mask.ravel(order="F").astype(int)
    edges = [0, *(np.flatnonzero(np.diff(flat)) + 1).tolist(), flat.size]
    counts = np.diff(edges).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def put_png(path: Path, labels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(label_png.encode(labels.astype(np.uint8)))


def converted(folder: Path) -> dict[str, dict[int, Any]]:
    vos.write(open_videos(folder / "in"), folder / "out")
    return opened(folder / "out")


def document(folder: Path, content: Any, name: str = "instances.json") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def test_label_maps(tmp_path: Path) -> None:
    pictures(tmp_path / "in/JPEGImages/v", 3)
    put_png(tmp_path / "in/Annotations/v/00001.png", box(0, 0) * 7 + box(4, 4) * 255)
    put_png(tmp_path / "in/Annotations/v/00002.png", box(1, 1) * 7 + box(4, 4) * 9)
    found = converted(tmp_path)
    assert (found["v"][0] == box(0, 0) * 7).all()
    assert (found["v_009"][0] == box(4, 4) * 9).all()
    assert mapping(tmp_path / "out")["videos"]["v"]["objects"] == {"7": 7}


def test_folders_of_objects(tmp_path: Path) -> None:
    """The layout of SA-V's val split: frames at 24 a second, masks of every fourth."""
    pictures(tmp_path / "in/JPEGImages_24fps/v", 9)
    for frame in (0, 4, 8):
        put_png(tmp_path / f"in/Annotations_6fps/v/000/{frame:05d}.png", box(0, 0))
        put_png(tmp_path / f"in/Annotations_6fps/v/003/{frame:05d}.png", box(1, 1) * 255)
    found = converted(tmp_path)
    assert (found["v"][4] == box(0, 0)).all()
    assert (found["v_004"][8] == box(1, 1) * 4).all()  # they overlap
    assert mapping(tmp_path / "out")["videos"]["v_004"]["objects"] == {"4": "003"}


@pytest.mark.parametrize("encode", [encode, uncompressed])
def test_youtube_vis(tmp_path: Path, encode: Any) -> None:
    pictures(tmp_path / "in/JPEGImages/abc", 3)
    names = [f"abc/{number:05d}.jpg" for number in range(3)]
    video = {"id": 5, "file_names": names, "width": WIDTH, "height": HEIGHT, "length": 3}
    polygon = [[4, 4, 6, 4, 6, 6, 4, 6]]
    document(
        tmp_path / "in",
        {
            "videos": [video],
            "annotations": [
                {"id": 70, "video_id": 5, "segmentations": [encode(box(0, 0)), None, None]},
                {"id": 71, "video_id": 5, "segmentations": [None, None, polygon]},
            ],
        },
    )
    found = converted(tmp_path)
    assert (found["abc"][0] == box(0, 0)).all()
    assert (found["abc_002"][0] == box(4, 4) * 2).all()
    assert mapping(tmp_path / "out")["videos"]["abc_002"]["objects"] == {"2": 71}


@pytest.mark.parametrize("key", ["track_id", "instance_id", "attributes"])
def test_coco_with_tracks(tmp_path: Path, key: str) -> None:
    pictures(tmp_path / "in/images/clip", 3)

    def track(number: int) -> dict[str, Any]:
        return {"attributes": {"track_id": number}} if key == "attributes" else {key: number}

    images = [
        {"id": n, "file_name": f"clip/{n:05d}.jpg", "width": WIDTH, "height": HEIGHT}
        for n in (2, 0, 1)
    ]
    annotations = [
        {"id": 1, "image_id": 0, "segmentation": encode(box(0, 0)), **track(900)},
        {"id": 2, "image_id": 0, "segmentation": encode(box(6, 0)), **track(900)},
        {"id": 3, "image_id": 2, "segmentation": encode(box(2, 2)), **track(77)},
    ]
    document(tmp_path / "in", {"images": images, "annotations": annotations})
    found = converted(tmp_path)
    assert (found["clip"][0] == (box(0, 0) | box(6, 0))).all()
    assert mapping(tmp_path / "out")["videos"]["clip_002"] == {
        "source": "clip",
        "why": "late",
        "objects": {"2": 77},
        "frames": ["00002.jpg"],
    }


def test_coco_without_tracks_is_refused(tmp_path: Path) -> None:
    pictures(tmp_path / "in/clip", 1)
    image = {"id": 0, "file_name": "clip/00000.jpg", "width": WIDTH, "height": HEIGHT}
    annotation = {"id": 3, "image_id": 0, "segmentation": encode(box(0, 0))}
    document(tmp_path / "in", {"images": [image], "annotations": [annotation]})
    with pytest.raises(UsageError, match="annotation 3 has no track_id or instance_id"):
        open_videos(tmp_path / "in")


def test_sav_json(tmp_path: Path) -> None:
    pictures(tmp_path / "in/JPEGImages_24fps/sav_000042", 9)
    rows = [[encode(box(0, 0)), None], [None, None], [encode(box(0, 0))] * 2]
    content: dict[str, Any] = {
        "video_id": "sav_000042",
        "video_frame_count": 9.0,
        "video_height": HEIGHT,
        "video_width": WIDTH,
        "masklet": rows,
        "masklet_id": [0, 1],
    }
    statistics = ("size_abs", "size_rel", "visibility_changes", "first_appeared_frame")
    for key in (*statistics, "frame_count"):
        content[f"masklet_{key}"] = [0, 0]
    document(tmp_path / "in", content, "sav_000042_manual.json")
    document(tmp_path / "in", content, "sav_000042_auto.json")
    found = converted(tmp_path)
    assert sorted(found["sav_000042"]) == [0, 4, 8]
    assert sorted(found["sav_000042_002"]) == [0]
    assert "sav_000042_auto" in found


def test_object_ids_above_255_are_refused(tmp_path: Path) -> None:
    pictures(tmp_path / "in/JPEGImages/v", 1)
    (tmp_path / "in/Annotations/v").mkdir(parents=True)
    labels = box(0, 0).astype(np.uint16) * 256
    Image.fromarray(labels).save(tmp_path / "in/Annotations/v/00000.png")
    with pytest.raises(FaultsFound, match="object ids above 255"):
        converted(tmp_path)
    (tmp_path / "in/Annotations/v/00000.png").unlink()
    put_png(tmp_path / "in/Annotations/v/254/00000.png", box(0, 0))
    with pytest.raises(FaultsFound, match="object ids above 255"):
        converted(tmp_path)


def test_all_that_is_missing_is_named_at_once(tmp_path: Path) -> None:
    pictures(tmp_path / "in/JPEGImages/v", 1)
    for name in ("v/00000", "v/00007", "w/00000"):
        put_png(tmp_path / f"in/Annotations/{name}.png", box(0, 0))
    with pytest.raises(FaultsFound) as caught:
        open_videos(tmp_path / "in")
    assert [each.where for each in caught.value.faults] == ["v/00007.png", "w/00000.png"]


def test_colour_masks_are_refused(tmp_path: Path) -> None:
    pictures(tmp_path / "in/JPEGImages/v", 1)
    (tmp_path / "in/Annotations/v").mkdir(parents=True)
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "in/Annotations/v/00000.png")
    with pytest.raises(FaultsFound, match="has colour"):
        converted(tmp_path)


@pytest.mark.parametrize("name", ["../v/00000.jpg", "/v/00000.jpg", "v/../../00000.jpg"])
def test_names_cannot_leave_the_folder(tmp_path: Path, name: str) -> None:
    pictures(tmp_path / "v", 1)
    video = {"id": 5, "file_names": [name], "width": WIDTH, "height": HEIGHT}
    annotation = {"id": 1, "video_id": 5, "segmentations": [encode(box(0, 0))]}
    document(tmp_path / "in", {"videos": [video], "annotations": [annotation]})
    with pytest.raises(FaultsFound, match="unsafe name"):
        converted(tmp_path)
    assert not (tmp_path / "out").exists()


NO_FRAMES = '{"videos": [{"id": 1, "file_names": []}], "annotations": [{"segmentations": []}]}'


@pytest.mark.parametrize(
    "content", ["no JSON", "[]", '{"annotations": 5}', '{"images": []}', NO_FRAMES]
)
def test_other_files_are_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "own.json").write_text(content)
    with pytest.raises(UsageError, match=r"own\.json: is not"):
        open_videos(tmp_path / "in")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"image_id": 1}]', "JSON: these are objects with `annotations`. Take it out of this"),
        ('{"images": []}', "JSON (it has no 'annotations'). Correct the file"),
    ],
)
def test_json_of_another_kind_is_told_in_words(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "predictions.json"
    path.write_text(content)
    with pytest.raises(UsageError) as caught:
        open_videos(tmp_path)
    assert str(caught.value) == f"{path}: is not YouTube-VIS, COCO or SA-V {said}" + (
        " folder, or put the annotations there" if "Take" in said else ""
    )


def test_a_folder_without_masks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no videos with masks"):
        open_videos(tmp_path)


@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_run_lengths_are_read_in_both_forms(mask: Any) -> None:
    height, width = mask.shape
    for form in (encode, uncompressed):
        assert (to_mask(form(mask), width, height) == mask).all()


@pytest.mark.parametrize(
    ("segment", "what"),
    [
        ({"size": [4, 5], "counts": [3, 4]}, "fills 7 of 20"),
        ({"size": [4, 5], "counts": [-3, 23]}, "not a number of pixels"),
        ({"size": [5, 4], "counts": [20]}, "size"),
        ([[1, 1, 2, 2]], "three points"),
        ([[1, 1, 2, 2, 3, 1e9]], "by far"),
        ([[1, 1, 2, 2, 3, float("nan")]], "by far"),
        ([["a"] * 6], "not a number"),
        ("text", "no RLE"),
    ],
)
def test_a_damaged_mask_is_refused(segment: Any, what: str) -> None:
    with pytest.raises(DamagedMask, match=what):
        to_mask(segment, 5, 4)


def test_the_command(tmp_path: Path, saco: Saco) -> None:
    pictures(tmp_path / "mine/JPEGImages/v", 2)
    put_png(tmp_path / "mine/Annotations/v/00000.png", box(0, 0))
    put_png(tmp_path / "mine/Annotations/v/00001.png", box(0, 0) + box(4, 4) * 2)
    done: subprocess.CompletedProcess[str] = saco("convert", "vos", "mine", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["videos"], told["late"], told["to"]) == (2, 1, str(tmp_path / "mine-vos"))
    assert sorted(opened(tmp_path / "mine-vos")) == ["v", "v_002"]
    again = saco("convert", "vos", "mine", cwd=tmp_path)
    assert again.returncode == 2
    assert "is not empty" in again.stderr
    elsewhere = saco("convert", "vos", "mine", "--to", "other", cwd=tmp_path)
    assert "2 videos (1 of objects that appear late" in elsewhere.stdout


def test_real_masks_are_converted(tmp_path: Path, shared_data: Path) -> None:
    source = shared_data / "vos_chair"
    for kind, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        for number in (30, 31, 32):
            path = tmp_path / "in" / kind / "chair" / f"{number:05d}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((source / kind / "chair" / path.name).read_bytes())
    found = converted(tmp_path)
    assert sorted(found["chair"]) == [0, 1, 2]
    with Image.open(source / "Annotations/chair/00031.png") as image:
        assert (found["chair"][1] == np.array(image)).all()
