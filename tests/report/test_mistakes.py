"""The page about the errors of a model: kinds, groups, and every item in its search."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import saco_data as saco_api
from saco_data.dataset.dataset import Subset, SubsetFiles
from saco_data.model.errors import UsageError
from saco_data.report import mistakes, mistakes_page
from tests.conftest import Saco
from tests.helpers.pictures import plain_jpeg
from tests.helpers.rle import encode
from tests.report.conftest import HOSTILE, Silver
from tests.report.test_page import Reader

SIDE = 100
SMALL, LEFT, RIGHT = (10, 10, 3, 3), (10, 10, 30, 30), (50, 10, 30, 30)
Box = tuple[int, int, int, int]


def mask(box: Box) -> Any:
    """A rectangle: left, top, width, height."""
    made = np.zeros((SIDE, SIDE), np.uint8)
    made[box[1] : box[1] + box[3], box[0] : box[0] + box[2]] = 1
    return made


# Phrase: annotated and predicted boxes, and the kind that must be found.
CASES: dict[str, tuple[list[Box], list[Box], str]] = {
    "none": ([], [LEFT], mistakes.INVENTED),
    "missed": ([LEFT], [], mistakes.MISSED),
    "merged": ([LEFT, RIGHT], [(10, 10, 70, 30)], mistakes.MERGED),
    "one of two": ([LEFT, RIGHT], [LEFT], mistakes.COUNT),
    "two for one": ([LEFT], [LEFT, RIGHT], mistakes.COUNT),
    "shifted": ([LEFT], [(20, 10, 30, 30)], mistakes.LOW),
    HOSTILE: ([SMALL], [], mistakes.MISSED),
    "exact": ([LEFT], [LEFT], mistakes.RIGHT),
    "rejected": ([], [], ""),
}


@pytest.fixture(scope="module")
def result(silver: Silver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A result with one item of each kind, whose picture lies among those of geode."""
    folder = tmp_path_factory.mktemp("eval")
    images: list[dict[str, Any]] = []
    masks: list[dict[str, Any]] = []
    for phrase, (boxes, _, _) in CASES.items():
        images.append(
            {"id": len(images), "file_name": "case.jpg", "text_input": phrase}
            | {"width": SIDE, "height": SIDE, "is_instance_exhaustive": True}
        )
        for box in boxes:
            masks.append(
                {"id": len(masks), "image_id": images[-1]["id"], "segmentation": encode(mask(box))}
                | {"category_id": 1, "iscrowd": 0, "area": box[2] * box[3] / SIDE**2}
                | {"bbox": [each / SIDE for each in box]}
            )
    content = {"images": images, "annotations": masks, "categories": [{"id": 1}]}
    truth = folder / "truth.json"
    truth.write_text(json.dumps(content))
    pictures = silver.settings.subset("geode").images
    (pictures / "case.jpg").write_bytes(plain_jpeg(SIDE, SIDE, (120, 120, 120)))
    subset = Subset("geode", SubsetFiles(truth, pictures))
    with saco_api.Predictions(folder / "found.json") as out:
        for item in subset:
            found = CASES[item.phrase][1]
            out.add(item, np.array([mask(each) for each in found]), [0.9] * len(found))
    evaluated = saco_api.evaluate(folder / "found.json", subset)
    path = folder / "result.json"
    path.write_text(json.dumps(evaluated.as_json(items=True)))
    yield path
    (pictures / "case.jpg").unlink()


def test_each_item_has_its_kind(result: Path) -> None:
    (found,) = mistakes.read(result)
    kinds = {item.pair.phrase: item.kind for item in found.items}
    assert kinds == {phrase: kind for phrase, (_, _, kind) in CASES.items() if kind}
    assert found.negatives == 1


def test_groups_by_phrase_and_size(result: Path) -> None:
    (found,) = mistakes.read(result)
    rows = mistakes.by_phrase(found.items, 40)
    assert len(rows) == 7 and all(wrong == 1 for _, _, wrong, _ in rows)
    assert "exact" not in [phrase for phrase, *_ in rows]
    sizes = {size: (items, kinds) for size, items, kinds, _ in mistakes.by_size(found.items)}
    assert sizes["below 0.1 %"] == (1, {mistakes.MISSED: 1})
    assert sizes["1 to 10 %"][0] == 6


def test_the_page_shows_truth_and_prediction_apart_and_holds_all_items(
    silver: Silver, result: Path, saco: Saco, tmp_path: Path
) -> None:
    to = tmp_path / "errors.html"
    done = saco("report", "--eval", result, "--to", to, cwd=silver.folder)
    assert done.returncode == 0, done.stderr
    html = to.read_text()
    read = Reader(html)
    overs = [each["class"] for each in read.all("img") if "class" in each]
    assert overs.count("over annotation") == 6 and overs.count("over prediction") == 5
    assert "<img src=x" not in html
    packed = re.search(r'id="packed">(.*?)<', html)
    assert packed
    content = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    assert len(content["rows"]) == 8
    assert {content["kinds"][row[4]] for row in content["rows"]} == {
        kind for _, _, kind in CASES.values() if kind
    }


def test_a_result_that_does_not_fit_its_files_is_refused(
    silver: Silver, result: Path, tmp_path: Path
) -> None:
    content = json.loads(result.read_text())
    content["subsets"]["geode"]["gt_sha256"] = "0" * 64
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="another"):
        mistakes_page.write(silver.settings, changed)
    changed.write_text("[]")
    with pytest.raises(UsageError, match="no counts"):
        mistakes_page.write(silver.settings, changed)
