"""Prediction files damaged at random: each is answered, with the position of the entry.

The official evaluator never ends on some of them.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saco_data.evaluation.files import Options, Task, evaluate_one
from saco_data.evaluation.findings import PredictionError
from tests.evaluation.made import some, write

Damage = Callable[[random.Random, list[dict[str, Any]]], Any]


def cut(dice: random.Random, found: list[dict[str, Any]]) -> Any:
    text = json.dumps(found)
    return text[: dice.randrange(len(text))]


def cut_rle(dice: random.Random, found: list[dict[str, Any]]) -> Any:
    each = dice.choice(found)["segmentation"]
    each["counts"] = each["counts"][: dice.randrange(len(each["counts"]))]
    return found


def swap_characters(dice: random.Random, found: list[dict[str, Any]]) -> Any:
    each = dice.choice(found)["segmentation"]
    letters = list(each["counts"])
    a, b = dice.randrange(len(letters)), dice.randrange(len(letters))
    letters[a], letters[b] = letters[b], letters[a]
    each["counts"] = "".join(letters)
    return found


def spoil_rle(dice: random.Random, found: list[dict[str, Any]]) -> Any:
    for each in dice.sample(found, min(3, len(found))):
        counts = each["segmentation"]["counts"]
        at = dice.randrange(len(counts))
        new = chr(dice.randrange(33, 127))
        each["segmentation"]["counts"] = counts[:at] + new + counts[at + 1 :]
    return found


def swap_entries(dice: random.Random, found: list[dict[str, Any]]) -> Any:
    a, b = dice.choice(found), dice.choice(found)
    key = dice.choice(("segmentation", "bbox", "image_id"))
    a[key], b[key] = b[key], a[key]
    return found


def wrong_id(dice: random.Random, found: list[dict[str, Any]]) -> Any:
    each = dice.choice(found)
    each["image_id"] = dice.choice((None, -1, 10**30, "10", 10.5, [10], {}, True))
    return found


def wrong_value(dice: random.Random, found: list[dict[str, Any]]) -> Any:
    each = dice.choice(found)
    value: Any = dice.choice((None, [], {}, "x", -1, 1e300, [1e308] * 4, [[1, 2, 3]], float("nan")))
    each[dice.choice(list(each))] = value
    return found


def wrong_size(dice: random.Random, found: list[dict[str, Any]]) -> Any:
    size = dice.choice(([16, 12], [0, 0], [1 << 33, 1], [12], "12", [12.0, 16.0], [-12, -16]))
    dice.choice(found)["segmentation"]["size"] = size
    return found


def lose_key(dice: random.Random, found: list[dict[str, Any]]) -> Any:
    each = dice.choice(found)
    del each[dice.choice(list(each))]
    return found


def wrong_bytes(dice: random.Random, found: list[dict[str, Any]]) -> Any:
    text = list(json.dumps(found))
    text[dice.randrange(len(text))] = chr(dice.randrange(32, 0x3000))
    return "".join(text)


DAMAGES: tuple[Damage, ...] = (
    cut,
    cut_rle,
    swap_characters,
    spoil_rle,
    swap_entries,
    wrong_id,
    wrong_value,
    wrong_size,
    lose_key,
    wrong_bytes,
)


def campaign(folder: Path, seed: int, number: int) -> dict[str, int]:
    """Evaluates so many damaged files; how many were counted and how many refused."""
    dice = random.Random(seed)
    answers = {"counted": 0, "refused": 0}
    for at in range(number):
        truth, found = some(dice.randrange(10**9))
        if not found:
            continue
        gt = write(folder / "gt.json", truth)
        pred = write(folder / "pred.json", dice.choice(DAMAGES)(dice, found))
        task = Task("x", pred, (gt,))
        print(f"seed {seed} file {at}", file=sys.stderr, flush=True)
        try:
            result = evaluate_one(task, Options(samples=0, remember=False))
            assert sum(result.counts["il"]) == len(truth["images"])
            answers["counted"] += 1
        except PredictionError as error:
            answers["refused"] += 1
            assert error.findings or "JSON" in str(error) or "not a list" in str(error)
            for each in error.findings:
                assert all(0 <= position < len(found) for position, _ in each.first)
            if error.findings:
                evaluate_one(task, Options(samples=0, remember=False, lenient=True))
    return answers


def in_a_process(folder: Path, seed: int, number: int) -> dict[str, int]:
    """The campaign in a process, which a hang or a crash ends alone; stderr names the file."""
    code = (
        "import json, pathlib, sys; from tests.evaluation.test_damaged_files import campaign; "
        f"print(json.dumps(campaign(pathlib.Path({str(folder)!r}), {seed}, {number})))"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
    answers: dict[str, int] = json.loads(done.stdout)
    return answers


def test_some_damaged_files(tmp_path: Path) -> None:
    answers = in_a_process(tmp_path, 1, 120)
    assert answers["refused"] > 20 and answers["counted"] > 20


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_thousand_damaged_files(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10**9)
    print("seed", seed)
    answers = in_a_process(tmp_path, seed, 1000)
    print(answers)
    assert answers["refused"] > 200 and answers["counted"] > 200
