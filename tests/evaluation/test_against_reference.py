"""Random ground truths and predictions: the same as the plainest program says."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saco_data.evaluation import matching
from saco_data.evaluation.files import Options, Task, evaluate_one
from tests.evaluation import reference
from tests.evaluation.made import some, write

KEYS = ("il", "tp", "fp", "fn", "positive_fp")


@given(st.integers(0, 10**9))
@settings(max_examples=60)
def test_equal_to_the_reference(seed: int) -> None:
    truth, found = some(seed)
    with tempfile.TemporaryDirectory() as folder:
        gt = write(Path(folder) / "gt.json", truth)
        pred = write(Path(folder) / "pred.json", found)
        result = evaluate_one(Task("x", pred, (gt,)), Options(samples=0, remember=False))
    expected = reference.evaluate(truth, found)
    assert {key: result.counts[key] for key in KEYS} == {key: expected[key] for key in KEYS}
    for name in ("cgF1", "IL_MCC", "positive_micro_F1", "positive_macro_F1"):
        assert result.official[f"cgF1_eval_segm_{name}"] == pytest.approx(expected[name], abs=1e-12)


def test_several_processes_count_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth, found = some(1, count=200)
    gt, pred = write(tmp_path / "gt.json", truth), write(tmp_path / "pred.json", found)
    alone = evaluate_one(Task("x", pred, (gt,)), Options(remember=False))
    monkeypatch.setattr(matching, "_WORTH_FORKING", 0)
    forked = evaluate_one(Task("x", pred, (gt,)), Options(remember=False, jobs=3))
    assert forked.as_json(items=True) == alone.as_json(items=True)
