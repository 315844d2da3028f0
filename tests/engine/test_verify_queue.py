"""Verification takes products as it goes: a million of them never wait in a queue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from saco_data.engine import checking, verify
from saco_data.engine.subset import bind_one
from saco_data.model.reasons import Reason
from saco_data.model.records import Product
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import config


def test_few_products_are_taken_before_their_outcomes(tmp_path: Path) -> None:
    taken = 0

    def products() -> Iterator[tuple[Product, None]]:
        nonlocal taken
        for number in range(2000):
            taken += 1
            yield Product(f"{number}.jpg", 16, 12), None

    subset = bind_one(config(tmp_path), "nga")
    outcomes = iter(verify.check_all(subset, products(), InlineExecutor()))
    most = checking.TASKS_A_WORKER * checking.CHECKS_A_TASK
    assert next(outcomes).key == "0.jpg" and taken <= most
    for number, outcome in enumerate(outcomes, 1):
        assert outcome.key == f"{number}.jpg" and outcome.reason is Reason.PRODUCT_LOST
        assert taken <= number + most + 1
    assert taken == number + 1 == 2000
