"""Sheets of pictures with their masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from saco_data.model.errors import Incomplete
from saco_data.report import preview
from tests.conftest import Saco
from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config
from tests.report.conftest import Silver


def test_the_official_keys_say_what_is_drawn_where(silver: Silver, saco: Saco) -> None:
    done = saco("preview", cwd=silver.folder)
    assert done.returncode == 0, done.stderr
    sheets = [Path(line) for line in done.stdout.splitlines()]
    assert len(sheets) == 3 and {path.parent for path in sheets} == {silver.folder / "sheets"}
    assert all(path.name.startswith("sav_") for path in sheets)


def test_a_sheet_shows_picture_masks_and_both(silver: Silver) -> None:
    drawn = preview.draw(silver.settings, "sav")
    sheet = np.asarray(Image.open(drawn.sheets[0]).convert("RGB"), int)
    width = (sheet.shape[1] - 4 * preview.GAP) // 3
    height = sheet.shape[0] - 2 * preview.GAP - 72
    plain, alone, both = (
        sheet[
            preview.GAP : preview.GAP + height,
            preview.GAP + at * (width + preview.GAP) :,
        ][:, :width]
        for at in range(3)
    )
    # The masks alone say where the third panel differs from the first.
    mask = (alone != alone[-1, -1]).any(axis=2)
    assert mask.any() and not mask.all()
    assert (plain[~mask] == both[~mask]).all()
    assert (plain[mask] != both[mask]).any(axis=1).mean() > 0.9
    # The words below are ink on paper.
    assert (sheet[preview.GAP + height :].min(axis=2) < 80).sum() > 50


def test_the_seed_decides_which(silver: Silver) -> None:
    first = preview.draw(silver.settings, "geode", seed=1)
    content = [path.read_bytes() for path in first.sheets]
    again = preview.draw(silver.settings, "geode", seed=1)
    assert [path.read_bytes() for path in again.sheets] == content
    others = {tuple(preview.draw(silver.settings, "geode", seed=n).sheets) for n in range(2, 6)}
    assert len(others) > 1


def test_a_damaged_mask_is_named_and_the_sheet_still_drawn(
    shared_data: Path, tmp_path: Path, saco: Saco
) -> None:
    sample = json.loads((shared_data / "droid_sample.json").read_text())
    settings = config(tmp_path, saco_subset_show="droid", directory_save="sheets")
    annotate(tmp_path, "droid", sample)
    path = settings.subset("droid").images / sample["images"][0]["file_name"]
    path.parent.mkdir(parents=True)
    Image.new("RGB", (1280, 720), "grey").save(path)
    done = saco("preview", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["sheets"]) == 1 and Path(told["sheets"][0]).exists()
    (skipped,) = told["skipped"]
    assert "annotation 1" in skipped and "00002.jpg" in skipped and skipped in done.stderr


def test_pictures_that_cannot_be_opened_are_named_and_others_take_their_place(
    tmp_path: Path,
) -> None:
    settings = config(tmp_path, num_images_show=2)
    names = [f"{number}.jpg" for number in range(3)]
    annotate(tmp_path, "nga", document(*(image(at, name) for at, name in enumerate(names))))
    for name in names:
        path = settings.subset("nga").images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (160, 120)).save(path)
    path.write_bytes(b"GIF89a broken")
    drawn = [preview.draw(settings, "nga", seed) for seed in range(6)]
    assert all(len(each.sheets) == 2 for each in drawn)
    assert any("2.jpg: is no picture" in remark for each in drawn for remark in each.skipped)


def test_with_nothing_ready_it_says_what_to_do(tmp_path: Path) -> None:
    settings = config(tmp_path)
    annotate(tmp_path, "nga", document(image(0, "a.jpg")))
    with pytest.raises(Incomplete, match="saco prepare nga"):
        preview.draw(settings, "nga")


def test_a_file_that_is_not_utf8_is_drawn_as_prepare_reads_it(tmp_path: Path) -> None:
    settings = config(tmp_path, directory_save="sheets")
    content = json.dumps(document(image(0, "a.jpg", text_input="cafe"))).encode()
    annotate(tmp_path, "nga", b"\xef\xbb\xbf" + content.replace(b"cafe", b"caf\xe9"))
    path = settings.subset("nga").images / "a.jpg"
    path.parent.mkdir(parents=True)
    Image.new("RGB", (160, 120)).save(path)
    drawn = preview.draw(settings, "nga")
    assert len(drawn.sheets) == 1 and drawn.skipped == []
