"""An item that does not return, or kills its process, is named instead of waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

from saco_data.evaluation import matching
from saco_data.evaluation.segmentations import Rle
from tests.helpers.rle import encode

MASK = np.ones((4, 4), bool)
SHAPE = Rle(size=(4, 4), counts=encode(MASK)["counts"])
WORK: list[matching.Work] = [(f"item {at}", [SHAPE], [SHAPE]) for at in range(6)]


@pytest.mark.parametrize("ending", ["sleeps", "dies"])
def test_a_stuck_item_is_named(monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    real = matching._scores

    def scores(work: matching.Work) -> Any:
        if work[0] == "item 4":
            os._exit(9) if ending == "dies" else time.sleep(600)
        return real(work)

    monkeypatch.setattr(matching, "_scores", scores)
    monkeypatch.setattr(matching, "_WORTH_FORKING", 0)
    monkeypatch.setattr(matching, "PATIENCE", 0.4)
    with pytest.raises(matching.DoesNotReturn, match="item 4"):
        matching.count(WORK, jobs=2)


def test_chunks_hold_each_item_once() -> None:
    for jobs in range(1, 9):
        chunks = matching._chunks(np.array([5, 1, 1, 90, 1, 1]), jobs)
        assert [at for chunk in chunks for at in range(6)[chunk]] == list(range(6))


def test_the_assignment_is_that_of_scipy() -> None:
    code = (
        "import sys; from saco_data.evaluation.assignment import linear_sum_assignment;"
        "f = linear_sum_assignment(); print('scipy.optimize' in sys.modules, f.__module__);"
        "import numpy as np; from scipy.optimize import linear_sum_assignment as g;"
        "r = np.random.default_rng(0); m = [r.integers(0, 3, (a, b)) / 2 for a in range(1, 6)"
        " for b in range(1, 6)];"
        "print(all(np.array_equal(f(-x), g(-x)) for x in m))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "True", done.stdout
