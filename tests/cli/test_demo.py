"""`saco demo`: all stages in the first run, no work in the second."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

from saco_data.cli import main
from saco_data.config.installation import how_to_install
from saco_data.config.settings import load
from saco_data.sandbox.demo import SUBSETS
from saco_data.sandbox.scene import COLOURS
from tests.conftest import Saco
from tests.helpers.folders import tree


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, saco: Saco) -> Path:
    base = tmp_path_factory.mktemp("demo")
    done = saco("demo", "here", cwd=base)
    assert done.returncode == 0, done.stderr
    assert f"silver_img_path: {base}/here/data/silver/images" in done.stdout
    assert "<html" in (base / "here/data/silver/.saco/report.html").read_text()
    assert f"base_annotation_path_silver: {base}/here/data/silver/annotations" in done.stdout
    for name in SUBSETS:
        assert name in done.stdout
    return base / "here"


def test_everything_is_complete_and_missing_files_have_a_reason(folder: Path, saco: Saco) -> None:
    status = json.loads(saco("status", *SUBSETS, "--json", cwd=folder).stdout)
    assert status["complete"]
    for name, subset in status["subsets"].items():
        counts = subset["products"]
        assert counts["done"] > 0 and counts["gone"] > 0, name
        assert counts["total"] == counts["done"] + counts["gone"]
        assert sum(subset["reasons"].values()) == counts["gone"]
        assert subset["image_nps"]["kept"] < subset["image_nps"]["total"]


def test_the_second_run_does_nothing_and_says_so(folder: Path, saco: Saco) -> None:
    before = {path: path.stat().st_mtime_ns for path in (folder / "data").rglob("*.jpg")}
    content = tree(folder)
    again = saco("demo", folder, cwd=folder.parent)
    assert again.returncode == 0
    assert "nothing was fetched or written" in again.stderr
    assert tree(folder) == content
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("name", SUBSETS)
def test_masks_cover_what_their_phrase_names(folder: Path, name: str) -> None:
    settings = load(folder / "CONFIG_FRAMES.yaml")
    content = json.loads(settings.subset(name).derived.read_text())
    pairs = {pair["id"]: pair for pair in content["images"]}
    assert content["annotations"]
    for mask in content["annotations"]:
        pair = pairs[mask["image_id"]]
        picture = Image.open(settings.subset(name).images / pair["file_name"]).convert("RGB")
        inside = rle.decode(mask["segmentation"]).astype(bool)
        assert inside.shape == (pair["height"], pair["width"]) == picture.size[::-1]
        colour = COLOURS[pair["text_input"].split()[1]]
        seen = np.median(np.asarray(picture)[inside], axis=0)
        assert np.abs(seen - colour).max() < 40, pair


def test_negative_phrases_are_kept(folder: Path) -> None:
    settings = load(folder / "CONFIG_FRAMES.yaml")
    content = json.loads(settings.subset("geode").derived.read_text())
    with_masks = {mask["image_id"] for mask in content["annotations"]}
    assert any(pair["id"] not in with_masks for pair in content["images"])


def test_other_commands_work_in_its_folder(folder: Path, saco: Saco) -> None:
    for command in ("plan", "verify", "status", "prune"):
        done = saco(command, "geode", "sav", cwd=folder)
        assert done.returncode == 0, (command, done.stderr)
        assert "geode" in done.stdout


def test_without_its_extra_the_demo_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("saco_data.cli.demo.find_spec", lambda name: None)
    monkeypatch.setattr("sys.argv", ["saco", "demo", str(tmp_path / "demo")])
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == 2
    assert f"Run `{how_to_install('demo')}`" in capsys.readouterr().err
