"""Prepared copies of SA-V, opened by the rules of SAM 2's loaders (written anew after them)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coding

import saco_data
from saco_data.config.settings import Settings
from saco_data.dataset.drawing import PALETTE, scale_mask
from saco_data.dataset.train_videos import TrainVideo
from saco_data.report import masklets, page, preview, timeline
from saco_data.sandbox.miniature import build, build_subset, serve
from tests.helpers.folders import config, tree
from tests.helpers.pipeline import Notes, prepare

TRAIN, VAL = "sa-v/train", "sa-v/val"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """One config with Silver's `sav` and the collection `sa-v`, all prepared."""
    folder = tmp_path_factory.mktemp("layouts")
    drawn = {name: build_subset(name) for name in ("sav", TRAIN, VAL)}
    build(folder, ["sav"])
    with serve(folder / "served", drawn) as served:
        keys: dict[str, Any] = dict(served.keys)
        keys["collections"]["sa-v"] |= {"path": "sa-v", "media": "both"}
        made = config(folder, **keys)
        assert prepare(made, TRAIN, VAL) == 0
        collection = tree(folder / "sa-v")
        assert prepare(made, "sav") == 0
        assert tree(folder / "sa-v") == collection
        yield made


def names_in(folder: Path) -> list[str]:
    """All names in a folder, hidden ones too, as `os.listdir` gives them to the loaders."""
    return sorted(path.name for path in folder.iterdir())


def frame_numbers(folder: Path) -> list[int]:
    """The loaders take every name in a video's folder for a number."""
    return sorted(int(Path(name).stem) for name in names_in(folder))


def test_json_raw_dataset(settings: Settings) -> None:
    """`img_folder`, `gt_folder` (flat), `ann_every: 4`; frames keep their numbers of 24 fps."""
    root = settings.subset(TRAIN).images
    pictures, truth = root / "JPEGImages_6fps", root / "annotations"
    videos = names_in(pictures)
    assert len(videos) == 12
    for video in videos:
        rows = json.loads((truth / f"{video}_manual.json").read_bytes())["masklet"]
        numbers = frame_numbers(pictures / video)
        annotated = [4 * row for row, masks in enumerate(rows) if None not in masks]
        assert numbers == annotated == list(range(0, 48, 4))
        for number in numbers:
            with Image.open(pictures / video / f"{number:05d}.jpg") as image:
                size = image.size
            for rle in rows[number // 4]:
                assert coding.decode(rle).shape == size[::-1]


def test_png_raw_dataset(settings: Settings) -> None:
    """`is_palette=False`: a folder an object; the id is the number of the folder plus 1."""
    root = settings.subset(VAL).images
    pictures, truth = root / "JPEGImages_24fps", root / "Annotations_6fps"
    names = (root / "sav_val.txt").read_text().split()
    assert sorted(names) == names_in(pictures) == names_in(truth)
    for video in names:
        numbers = frame_numbers(pictures / video)
        assert numbers == list(range(9))
        objects = names_in(truth / video)
        assert [int(name) + 1 for name in objects] == [1, 2]
        for name in objects:
            annotated = frame_numbers(truth / video / name)
            assert annotated == [0, 4, 8] and set(annotated) <= set(numbers)
            for number in annotated:
                with Image.open(truth / video / name / f"{number:05d}.png") as mask:
                    values = np.unique(np.asarray(mask))
                    assert mask.size == Image.open(pictures / video / "00000.jpg").size
                assert len(values) <= 2 and values.any()


def test_val_and_test_in_one_folder_for_veval(tmp_path: Path) -> None:
    drawn = {name: build_subset(name) for name in (VAL, "sa-v/test")}
    with serve(tmp_path / "served", drawn) as served:
        keys: dict[str, Any] = dict(served.keys)
        keys["collections"]["sa-v"]["path"] = "sa-v"
        assert prepare(config(tmp_path, **keys), *drawn) == 0
        asked = sum(served.server.requests.values())
        keys["collections"]["sa-v"]["veval_path"] = "media/saco_sav"
        made = config(tmp_path, **keys)
        assert prepare(made, *drawn) == 0
        assert sum(served.server.requests.values()) == asked
        merged = tmp_path / "media/saco_sav/JPEGImages_24fps"
        official = [made.subset(name).images / "JPEGImages_24fps" for name in drawn]
        assert names_in(merged) == sorted(names_in(official[0]) + names_in(official[1]))
        assert all(frame_numbers(merged / name) == list(range(9)) for name in names_in(merged))
        # A link that was lost comes back; what is there of the user's stays.
        first, second, *_ = sorted(merged.iterdir())
        first.unlink()
        second.unlink()
        second.mkdir()
        notes = Notes()
        assert prepare(made, *drawn, notes=notes) == 0
        assert first.is_symlink() and not second.is_symlink()
        assert any("1 videos are not linked" in line for line in notes.lines)


def test_python_reads_both(settings: Settings) -> None:
    data = saco_data.load(settings)
    val = data["sa-v/val"]
    assert len(val) == 3 and [len(video.objects) for video in val] == [2, 2, 2]
    masks = val[0].masks(4)
    assert set(masks) == {0, 1} and all(mask.shape == (120, 160) for mask in masks.values())
    train = data["sa-v/train"]
    assert [each.kind for each in train].count("manual") == 12 and len(train) == 21
    for each in train[:2]:
        assert each.frames == each.annotated == list(range(0, 48, 4))
        assert each.masks(8).keys() == set(each.objects)
        assert each.image(8).size == (160, 120)


@pytest.mark.parametrize("name", [TRAIN, VAL])
def test_masklets_are_drawn_over_time_in_stable_colours(settings: Settings, name: str) -> None:
    video = masklets.videos_of(settings.subset(name))[0]
    strip = masklets.draw_strip(video, 80)
    assert strip.frames[0] == video.annotated[0] and strip.frames[-1] == video.annotated[-1]
    layer = np.asarray(strip.layer)
    for at, number in enumerate(strip.frames):
        for place, mask in video.masks(number).items():
            colour = PALETTE[video.objects.index(place) % len(PALETTE)]
            own = layer[:, at * (80 + masklets.GAP) :][:, :80]
            inside = scale_mask(mask, (80, 60))
            assert (own[inside][:, :3] == colour).all(axis=1).mean() > 0.3, (number, place)


@pytest.mark.parametrize("name", [TRAIN, VAL])
def test_preview_and_page_show_videos(settings: Settings, name: str) -> None:
    drawn = preview.draw(settings, name)
    assert not drawn.skipped and len(drawn.sheets) >= 3
    before = [path.read_bytes() for path in drawn.sheets]
    again = preview.draw(settings, name)
    assert [path.read_bytes() for path in again.sheets] == before
    built = page.write(settings, [name])
    assert built.pictures >= 3
    assert "No pictures and phrases" not in built.path.read_text()


@pytest.mark.parametrize("name", [TRAIN, VAL])
def test_the_page_shows_when_each_object_is_in_sight(settings: Settings, name: str) -> None:
    known = masklets.videos_of(settings.subset(name))
    found = timeline.list_timelines(name, masklets.choose(known, name))
    videos = {masklets.name_of(each): each for each in known}
    assert 0 < len(found) <= timeline.VIDEOS
    for each in found:
        video = videos[each.name]
        assert set(each.frames) <= set(video.annotated)
        assert (each.frames[0], each.frames[-1]) == (video.annotated[0], video.annotated[-1])
        for track, seen in each.tracks:
            truth = [bool(video.masks(frame)[int(track)].any()) for frame in each.frames]
            assert seen == truth
    html = page.write(settings, [name]).path.read_text()
    assert html.count('class="plot timeline"') == len(found)
    # As many coloured parts as there are sights.
    sights = sum(sum(seen) for each in found for _, seen in each.tracks)
    assert len(re.findall(r'<rect [^>]*height="18" fill', html)) == sights > 0


def test_a_video_without_pictures_is_decoded_for_the_preview(settings: Settings) -> None:
    video = masklets.videos_of(settings.subset(TRAIN))[0]
    assert isinstance(video, TrainVideo)
    without = replace(video, pictures=video.pictures / "none")
    shown = [np.asarray(masklets.draw_strip(each, 80).picture, int) for each in (video, without)]
    assert abs(shown[0] - shown[1]).mean() < 3  # one is a JPEG at quality 95
    with pytest.raises(masklets.NoFrames):
        masklets.draw_strip(replace(without, video=video.pictures), 80)
