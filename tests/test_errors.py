"""The error tree: one exit code a class, messages in three parts, and they survive pickling."""

from __future__ import annotations

import pickle
from collections.abc import Iterator

import pytest

from saco_data import errors
from saco_data.records import Reason


def tree(kind: type[errors.SacoError]) -> Iterator[type[errors.SacoError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


@pytest.mark.parametrize("kind", list(tree(errors.SacoError)))
def test_every_class_says_what_which_and_what_to_do(kind: type[errors.SacoError]) -> None:
    error = kind("it broke", item="thing.jpg", remedy="Mend it")
    assert str(error) == "thing.jpg: it broke. Mend it"
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error)
    assert kind.exit_code in errors.SEVERITY


def test_a_block_keeps_its_reason_across_processes() -> None:
    error = errors.Blocked("closed", reason=Reason.THROTTLED)
    assert pickle.loads(pickle.dumps(error)).reason is Reason.THROTTLED


@pytest.mark.parametrize(
    ("codes", "wins"),
    [([], 0), ([0, 3], 3), ([3, 4], 4), ([4, 5], 5), ([5, 6], 6), ([6, 2], 2), ([2, 1], 1)],
)
def test_the_most_severe_code_wins(codes: list[int], wins: int) -> None:
    assert errors.most_severe(codes) == wins
    assert errors.most_severe(codes[::-1]) == wins
