"""Clicks: the published rule by hand, by a plain reference, and over prepared copies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import saco_data
from saco_data.dataset.clicks import Click, next_click
from saco_data.dataset.raw_json import value_of
from saco_data.sandbox.miniature import build_subset
from saco_data.sandbox.packing import pack_tar
from tests.conftest import Saco
from tests.helpers.folders import config, write_files
from tests.helpers.miniatures import prepare_miniature
from tests.helpers.pipeline import prepare


def mask(*rows: str) -> Any:
    """A mask drawn with # for its pixels."""
    return np.array([[each == "#" for each in row] for row in rows])


NOTHING = mask(".....", ".....", ".....")


@pytest.mark.parametrize(
    ("truth", "prediction", "expected"),
    [
        (mask("#####", "#####", "#####"), NOTHING, Click(1, 1, True)),  # first of three
        (mask("##...", "##...", "##..."), NOTHING, Click(0, 0, True)),  # the picture has a border
        (NOTHING, mask(".###.", ".###.", ".###."), Click(2, 1, False)),
        (mask("#....", ".....", "....."), mask("....#", ".....", "....."), Click(4, 0, False)),
        (NOTHING, NOTHING, Click(0, 0, False)),
        (mask("#####", "#####", "#####"), mask("#####", "#####", "#####"), Click(0, 0, False)),
    ],
)
def test_the_rule_by_hand(truth: Any, prediction: Any, expected: Click) -> None:
    assert next_click(truth, prediction) == expected


def farthest(error: Any) -> tuple[int, int, int]:
    """(squared distance, column, row) by comparing all pixels of a padded error."""
    padded = np.pad(error, 1)
    outside = np.argwhere(~padded)
    best = (0, 0, 0)
    for row, column in np.argwhere(padded):
        distance = int(((outside - (row, column)) ** 2).sum(axis=1).min())
        if distance > best[0]:
            best = (distance, int(column) - 1, int(row) - 1)
    return best


PAIR = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: st.tuples(arrays.arrays(np.bool_, shape), arrays.arrays(np.bool_, shape))
)


@given(PAIR)
def test_the_same_as_a_plain_reference(pair: Any) -> None:
    truth, prediction = pair
    lacking, wrong = farthest(truth & ~prediction), farthest(prediction & ~truth)
    expected = (*lacking[1:], True) if lacking[0] > wrong[0] else (*wrong[1:], False)
    assert next_click(truth, prediction) == expected


def test_each_mask_gets_a_click_inside_and_its_box(tmp_path: Path, saco: Saco) -> None:
    settings = prepare_miniature(tmp_path, ["nga"])
    done = saco("clicks", "NGA", "--to", "c.jsonl", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    told = json.loads(done.stdout)
    assert (told["prompts"], told["empty"]) == (len(lines), 0)
    items = {item.id: item for item in saco_data.load(settings.silver)["nga"]}
    masks = {
        value_of(each.id): drawn
        for item in items.values()
        for each, drawn in zip(item.annotations, item.masks, strict=True)
    }
    assert len(lines) == len(masks) > 5
    for line in lines:
        drawn = masks[line["annotation_id"]]
        x, y = line["click"]
        left, top, width, height = line["box"]
        assert drawn[y, x] and line["image_id"] in items
        inside = drawn[top : top + height, left : left + width]
        assert inside.sum() == drawn.sum()
        assert all(edge.any() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1]))


def test_of_a_video_each_object_in_the_first_frame_that_shows_it(
    tmp_path: Path, saco: Saco
) -> None:
    write_files(tmp_path, {"sav_val.tar": pack_tar(build_subset("sa-v/val").raw)})
    own = {"path": "sa-v", "raw": {"val": "sav_val.tar"}}
    assert prepare(config(tmp_path, collections={"sa-v": own}), "sa-v/val") == 0
    videos = saco_data.load(tmp_path / "sa-v")["sa-v/val"]
    (videos[0].masks_folder / "001" / "00000.png").unlink()  # seen from frame 4 on
    done = saco("clicks", "sa-v/val", "--to", "c.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "c.jsonl").read_text().splitlines()]
    assert done.stdout == f"sa-v/val: {len(lines)} prompts\n"
    firsts = {(line["video"], line["object"]): line["frame"] for line in lines}
    assert len(firsts) == len(lines) == 2 * len(videos)
    assert firsts.pop((videos[0].name, 1)) == 4 and set(firsts.values()) == {0}
    for line in lines:
        video = next(each for each in videos if each.name == line["video"])
        x, y = line["click"]
        assert video.masks(line["frame"])[line["object"]][y, x]


def test_a_subset_that_is_not_prepared(tmp_path: Path, saco: Saco) -> None:
    prepare_miniature(tmp_path, ["nga"])
    done = saco("clicks", "geode", "--to", "c.jsonl", cwd=tmp_path)
    assert done.returncode == 2 and "saco prepare geode" in done.stderr
    assert not (tmp_path / "c.jsonl").exists()
