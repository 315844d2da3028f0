"""SA-V's val as Python objects: videos, frames, objects, masks."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from PIL import Image

import saco_data as saco
from saco_data.model.errors import AnnotationError
from saco_data.sandbox.miniature import build_subset
from saco_data.sandbox.packing import pack_tar
from tests.helpers.folders import config, write_files
from tests.helpers.pipeline import prepare

VAL: Final = "sa-v/val"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_files(tmp_path, {"sav_val.tar": pack_tar(build_subset(VAL).raw)})
    own = {"path": "sa-v", "raw": {"val": "sav_val.tar"}}
    assert prepare(config(tmp_path, collections={"sa-v": own}), VAL) == 0
    return tmp_path


@pytest.mark.parametrize("source", ["sa-v", "CONFIG_FRAMES.yaml"])
def test_it_yields_videos_frames_objects_and_masks(root: Path, source: str) -> None:
    subset = saco.load(root / source)[VAL]
    raw = build_subset(VAL).raw
    names = raw["sav_val/sav_val.txt"].decode().split()
    assert [video.name for video in subset] == sorted(names)
    for video in subset:
        assert (video.frames, video.objects) == (list(range(9)), [0, 1])
        assert video.annotated == [0, 4, 8]
        for frame in video.annotated:
            for name, mask in video.masks(frame).items():
                path = f"sav_val/Annotations_6fps/{video.name}/{name:03d}/{frame:05d}.png"
                expected = np.asarray(Image.open(io.BytesIO(raw[path]))) > 0
                assert mask.dtype == bool and np.array_equal(mask, expected)
        assert video.image(5).size == (160, 120)


def test_a_frame_without_annotations_and_an_unknown_one(root: Path) -> None:
    video = saco.load(root / "sa-v")[VAL][0]
    with pytest.raises(KeyError):
        video.masks(3)
    with pytest.raises(KeyError):
        video.image(9)


def test_an_object_without_a_file_is_absent(root: Path) -> None:
    video = saco.load(root / "sa-v")[VAL][0]
    (video.masks_folder / "001" / "00004.png").unlink()
    masks = video.masks(4)
    assert masks[0].any() and not masks[1].any() and masks[1].shape == (120, 160)


def test_a_damaged_mask_is_named(root: Path) -> None:
    video = saco.load(root / "sa-v")[VAL][0]
    (video.masks_folder / "001" / "00004.png").write_bytes(b"no picture")
    with pytest.raises(AnnotationError, match="001/00004"):
        video.masks(4)
