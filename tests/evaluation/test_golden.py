"""Every case of the golden data: the same counts, the same numbers to the last bit, or refused.

The data are made; what the official evaluator answered to each is data too.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from saco_data.evaluation.cgf1 import NAMES
from saco_data.evaluation.files import Options, Task, evaluate_one
from saco_data.model.errors import SacoError
from tests.conftest import ROOT
from tests.evaluation.made import write

GOLDEN = json.loads(gzip.decompress((ROOT / "tests/data/cgf1_golden.json.gz").read_bytes()))
CASES = {case["name"]: case for case in GOLDEN["cases"]}
# What the message must say, for some that the official evaluator refuses or never ends on.
WORDS = {
    "score_missing": "no score.*entry 0",
    "is_crowd_spelled_as_readme": "`is_crowd` is not read",
    "rle_truncated_mid": "damaged RLE.*entry 0",
    "broken_low_score": "damaged RLE.*entry 3",
    "predictions_in_a_dict": "not a list but an object",
    "predictions_jsonl": "one object a line",
    "first_with_bbox_second_without": "lacks the bbox.*entry 1",
    "gold_image_missing_in_second_predicted": "one of the ground truths lacks",
}


# Refused here, although the official evaluator answers: it counts nothing of such entries.
STRICTER = {"image_id_as_string": "image id as text.*entry 0"}


def _ok(case: dict[str, Any]) -> bool:
    return "results" in case["official"]


def evaluate(folder: Path, case: dict[str, Any], *, lenient: bool = False) -> Any:
    truths = tuple(write(folder / f"gt{at}.json", GOLDEN["pool"][at]) for at in case["gts"])
    found = write(folder / "found.json", case.get("pred_text", case["pred"]))
    how = Options(case["iou_type"], lenient, samples=0)
    return evaluate_one(Task(case["name"], found, truths), how)


@pytest.mark.parametrize("name", [each for each, case in CASES.items() if _ok(case)])
def test_the_official_answer(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    official = case["official"]
    if name in STRICTER:
        with pytest.raises(SacoError, match="(?s)" + STRICTER[name]) as caught:
            evaluate(tmp_path, case)
        assert caught.value.exit_code == 2
    result = evaluate(tmp_path, case, lenient=name in STRICTER)
    counts = result.counts
    assert [counts[key] for key in ("tp", "fp", "fn", "positive_fp")] == official["counts"]
    assert counts["il"] == official["IL_TP_FP_TN_FN"]
    assert result.coverage.image_nps == (official["evaluated"], official["evaluated"])
    assert list(NAMES) == GOLDEN["result_names"]
    assert list(result.official.values()) == official["results"]


@pytest.mark.parametrize("name", [each for each, case in CASES.items() if not _ok(case)])
def test_what_the_official_evaluator_cannot_answer_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SacoError, match="(?s)" + WORDS.get(name, ".")) as caught:
        evaluate(tmp_path, CASES[name])
    assert caught.value.remedy and caught.value.exit_code in (2, 4)
