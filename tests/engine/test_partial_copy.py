"""A copy with missing pictures can be evaluated on what is here, and says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import saco_data as saco_api
from saco_data.cli.common import read_status
from saco_data.dataset import pruned
from saco_data.report.console import print_evaluator
from saco_data.state.ledger import Ledger
from tests.conftest import Saco
from tests.helpers.folders import tree
from tests.helpers.rle import encode
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset


@pytest.fixture
def tiny(tmp_path: Path) -> TinySubset:
    return TinySubset(tmp_path, gone_confirm_hours=24)


def partial(tiny: TinySubset) -> Path:
    return pruned.partial(tiny.settings.subset(SUBSET).derived)


def counts(tiny: TinySubset) -> dict[str, Any]:
    shown: dict[str, Any] = read_status(tiny.settings, [SUBSET]).as_json()["subsets"][SUBSET]
    return shown


def lines(tiny: TinySubset, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    print_evaluator(tiny.settings, read_status(tiny.settings, [SUBSET]))
    return capsys.readouterr().out


def test_what_is_missing_is_left_out_until_the_copy_is_complete(
    tiny: TinySubset, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.holds(NAMES[:4])
    tiny.prepare()
    # Gone, but not confirmed: the entry is still in the annotations for evaluation.
    assert tiny.kept() == set(NAMES)
    names = {each["file_name"] for each in json.loads(partial(tiny).read_bytes())["images"]}
    assert names == set(NAMES[:4])
    record = json.loads(pruned.sidecar(partial(tiny)).read_bytes())
    assert record["removed_files_by_reason"] == {"not_in_archive": [NAMES[4]]}
    assert counts(tiny)["image_nps"] == {"total": 10, "kept": 10, "usable": 8}
    assert counts(tiny)["masks"] == {"total": 5, "kept": 5, "usable": 4}
    assert any("8 of 10 image-NPs: not comparable" in line for line in tiny.notes.lines)
    assert f"base_annotation_path_silver: {partial(tiny).parent}\n" in lines(tiny, capsys)
    before = tree(tiny.folder / "silver" / "annotations_partial")
    stamps = [path.stat().st_mtime_ns for path in sorted(partial(tiny).parent.iterdir())]
    tiny.prepare()
    assert tree(tiny.folder / "silver" / "annotations_partial") == before
    assert [p.stat().st_mtime_ns for p in sorted(partial(tiny).parent.iterdir())] == stamps
    tiny.holds(NAMES, version=1)
    tiny.time += 48 * 3600
    tiny.prepare()
    assert not partial(tiny).parent.exists()
    assert counts(tiny)["image_nps"]["usable"] == 10
    assert f"base_annotation_path_silver: {tiny.folder}/silver/annotations\n" in lines(tiny, capsys)


def test_what_is_confirmed_as_gone_needs_no_partial_copy(tiny: TinySubset) -> None:
    tiny.holds(NAMES[:4])
    tiny.prepare()
    tiny.prepare(confirm_gone=True)
    assert not partial(tiny).parent.exists()
    assert counts(tiny)["image_nps"] == {"total": 10, "kept": 8, "usable": 8}


def test_entries_that_must_stay_are_left_out_of_the_partial_copy(tmp_path: Path) -> None:
    tiny = TinySubset(tmp_path, update_annotation_bdd100k=False)
    tiny.holds(NAMES[:4])
    tiny.prepare()
    assert tiny.kept() == set(NAMES)
    pruned.sidecar(partial(tiny)).unlink()
    tiny.prepare()
    assert pruned.sidecar(partial(tiny)).exists()
    assert counts(tiny)["image_nps"] == {"total": 10, "kept": 10, "usable": 8}


def test_nothing_can_be_evaluated_without_pictures(
    tiny: TinySubset, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.tar.unlink()
    assert tiny.prepare().code == 4
    assert counts(tiny)["image_nps"]["usable"] == 0
    assert lines(tiny, capsys) == ""


def test_complete_subsets_are_linked_beside_partial_ones(tiny: TinySubset) -> None:
    other = tiny.settings.subset("nga").derived
    other.parent.mkdir(parents=True)
    other.write_text('{"images": [], "annotations": []}')
    tiny.holds(NAMES[:4])
    tiny.prepare()
    assert pruned.partial(other).samefile(other) and pruned.find_partial(other) is None
    assert pruned.find_partial(tiny.settings.subset(SUBSET).derived) == partial(tiny)
    tiny.prepare(confirm_gone=True)
    assert not partial(tiny).parent.exists() and other.is_file()


def test_a_picture_that_verify_finds_damaged_is_left_out(tiny: TinySubset, saco: Saco) -> None:
    tiny.prepare()
    tiny.product(NAMES[1]).write_bytes(b"damaged")
    done = saco("verify", SUBSET, "--json", cwd=tiny.folder)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["subsets"][SUBSET]["image_nps"]["usable"] == 8
    assert NAMES[1] not in partial(tiny).read_text()
    tiny.prepare()
    assert not partial(tiny).parent.exists()


def test_without_the_count_of_a_run_the_status_counts(tiny: TinySubset) -> None:
    tiny.holds(NAMES[:4])
    tiny.prepare()
    with Ledger(tiny.settings.state) as ledger:
        facts = ledger.facts(SUBSET)
        facts.usable, facts.usable_of = [], []  # as an older version, or a run that was killed
        ledger.set_facts(SUBSET, facts)
    assert counts(tiny)["image_nps"]["usable"] == 8


def test_counts_are_right_where_the_partial_copy_cannot_be_written(tiny: TinySubset) -> None:
    tiny.holds(NAMES[:4])
    partial(tiny).parent.parent.mkdir(parents=True)
    partial(tiny).parent.write_text("a file of the user")
    assert tiny.prepare().code != 0
    assert counts(tiny)["image_nps"]["usable"] == 8
    assert partial(tiny).parent.read_text() == "a file of the user"


def truth_as_prediction(content: dict[str, Any], to: Path) -> Path:
    found = [
        {"image_id": each["image_id"], "category_id": 1, "score": 0.9}
        | {"segmentation": each["segmentation"]}
        for each in content["annotations"]
    ]
    to.write_text(json.dumps(found))
    return to


def with_masks(content: dict[str, Any]) -> dict[str, Any]:
    square = np.zeros((12, 16), np.uint8)
    square[2:8, 3:9] = 1
    for each in content["images"]:
        each["is_instance_exhaustive"] = True
    for each in content["annotations"]:
        each |= {"segmentation": encode(square), "area": 0.2}
        each |= {"bbox": [0.1, 0.1, 0.3, 0.5], "category_id": 1, "iscrowd": 0}
    return content


def test_a_copy_with_a_missing_picture_is_evaluated_and_says_so(
    tiny: TinySubset, saco: Saco
) -> None:
    path = tiny.settings.subset(SUBSET).pristine
    content = with_masks(json.loads(path.read_bytes()))
    path.write_text(json.dumps(content))
    tiny.holds(NAMES[:4])
    tiny.prepare()
    found = truth_as_prediction(content, tiny.folder / f"{SUBSET}.json")
    done = saco("eval", found, "--json", cwd=tiny.folder)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)["subsets"][SUBSET]["coverage"]
    assert shown["image_nps"] == [8, 10] and shown["masks"] == [4, 5]
    for source in (tiny.settings, tiny.folder / "silver"):
        subset = saco_api.load(source)[SUBSET]
        assert len(subset) == 8 and all(item.path.is_file() for item in subset)
        result = saco_api.evaluate(found, subset).subsets[SUBSET]
        assert result.coverage.image_nps == (8, 10) and result.views is not None
