"""`saco demo`: all stages in the first run, no work in the second."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as rle

import saco_data as saco_api
from saco_data.cli import main
from saco_data.config.installation import how_to_install
from saco_data.config.settings import load
from saco_data.dataset.dataset import Subset, SubsetFiles
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
    numbers = done.stdout.partition("imperfect prediction")[2].splitlines()[2:]
    assert [line.split()[0] for line in numbers] == [*SUBSETS, "Average"]
    for line in numbers[:-1]:
        assert 5 < float(line.split()[1]) < 90 and " image-NPs, " in line, line
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
    assert "imperfect prediction" in again.stdout
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


@pytest.mark.parametrize("name", SUBSETS)
def test_the_ground_truth_as_prediction_is_perfect(folder: Path, name: str) -> None:
    subset = saco_api.load(folder / "CONFIG_FRAMES.yaml")[name]
    assert isinstance(subset, Subset)
    assert any(item.is_negative for item in subset)
    path = folder.parent / f"{name}.truth.json"
    with saco_api.Predictions(path) as out:
        for item in subset:
            out.add(item, item.masks, [1.0] * len(item.masks))
    found = saco_api.evaluate(path, subset).subsets[name]
    # The official epsilons keep it below 1.
    assert round(found.headline["cgF1"], 3) == 1.0
    assert found.headline["cgF1"] >= 0.9999 - 1e-4


def test_without_negatives_the_official_number_is_0_and_that_is_told(folder: Path) -> None:
    settings = load(folder / "CONFIG_FRAMES.yaml")
    content = json.loads(settings.subset("geode").derived.read_text())
    positive = {mask["image_id"] for mask in content["annotations"]}
    content["images"] = [each for each in content["images"] if each["id"] in positive]
    truth = folder.parent / "positives.json"
    truth.write_text(json.dumps(content))
    subset = Subset("geode", SubsetFiles(truth, settings.subset("geode").images))
    path = folder.parent / "positives.truth.json"
    with saco_api.Predictions(path) as out:
        for item in subset:
            out.add(item, item.masks, [1.0] * len(item.masks))
    result = saco_api.evaluate(path, subset)
    assert result.subsets["geode"].headline["cgF1"] == 0
    assert "no negative" in str(result)


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
