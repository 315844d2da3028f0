"""The quick check of runs says what a slow reading of each says."""

from __future__ import annotations

import random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from saco_data.dataset.masks import DamagedMask, run_lengths
from saco_data.evaluation import rle_check
from tests.helpers.rle import encode


def is_whole(counts: str, pixels: int) -> bool:
    try:
        return counts == "" or sum(run_lengths(counts)) == pixels
    except DamagedMask:
        return False


def damaged(dice: random.Random, counts: str) -> str:
    at = dice.randrange(len(counts))
    return {
        "cut": counts[:at],
        "lost": counts[:at] + counts[at + 1 :],
        "changed": counts[:at] + chr(dice.randrange(48, 112)) + counts[at + 1 :],
        "swapped": counts[:at] + counts[at : at + 2][::-1] + counts[at + 2 :],
        "longer": counts + counts[at:],
        "foreign": counts[:at] + dice.choice("é ~!") + counts[at:],
        "whole": counts,
    }[dice.choice(("cut", "lost", "changed", "swapped", "longer", "foreign", "whole"))]


@given(st.integers(0, 10**9))
def test_as_a_slow_reading(seed: int) -> None:
    dice, random_ = random.Random(seed), np.random.default_rng(seed)
    texts, pixels = [], []
    for _ in range(dice.randint(1, 30)):
        height, width = dice.randint(1, 60), dice.randint(1, 60)
        mask = random_.random((height, width)) < dice.choice((0, 0.02, 0.5, 0.9, 1))
        texts.append(damaged(dice, encode(mask)["counts"]))
        pixels.append(height * width)
    verdicts = rle_check.check(texts, pixels)
    expected = [is_whole(*each) for each in zip(texts, pixels, strict=True)]
    assert [verdict == rle_check.OK for verdict in verdicts] == expected
    totals = [rle_check.total_of(text) for text in texts]
    assert [a == b or not t for a, b, t in zip(totals, pixels, texts, strict=True)] == expected


def test_equal_totals_with_a_negative_run_are_damaged() -> None:
    # Runs 3, 1, 2, -1, 3: eight pixels in all, as the picture has. pycocotools never returns.
    assert rle_check.check(["312N1"], [8])[0] == rle_check.NEGATIVE
    assert rle_check.check(["3120"], [7])[0] == rle_check.OK


def test_a_large_mask_in_many_batches() -> None:
    random_ = np.random.default_rng(0)
    texts = [encode(random_.random((300, 400)) < 0.5)["counts"] for _ in range(6)]
    assert sum(map(len, texts)) > rle_check.BATCH
    assert not rle_check.check(texts, [120_000] * 6).any()
    assert rle_check.check(texts, [120_000] * 5 + [1])[5] == rle_check.FILL
