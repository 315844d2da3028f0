"""Verdicts on descriptors: symmetric, never "same" for a still scene, lines where the rate changed.

benchmarks/fidelity.py measures how often they are right.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from saco_data.share import matching
from saco_data.share.matching import Description, Luma, Verdict


def frame(number: float, *, gain: float = 1.0, noise: int = 0) -> Luma:
    """A frame of a pattern that moves by a block every four frames."""
    rows, columns = np.mgrid[0:18, 0:32]
    pattern = np.sin((columns + number / 4) / 2.5) + np.cos(rows / 2.0 + (columns + number / 4) / 9)
    random = np.random.default_rng(noise).normal(0, 0.03 if noise else 0, pattern.shape)
    values: Luma = (
        np.clip(120 + gain * (40 * pattern + 10 * random), 0, 255).astype(np.uint8).ravel()
    )
    return values


def around(number: int, reach: int, **how: float) -> dict[int, Luma]:
    """The frames around a frame, by distance."""
    gain = how.get("gain", 1.0)
    return {k: frame(number + k, gain=gain, noise=107 + k) for k in range(-reach, reach + 1)}


@pytest.mark.parametrize("shift", [-10, -3, -2, 2, 5])
def test_a_shift_is_found_through_other_colours(shift: int) -> None:
    found = matching.judge_series(frame(50 + shift), around(50, 30, gain=0.9))
    assert (found.verdict, found.shift) == (Verdict.SHIFTED, shift)
    assert not found.agrees


def test_the_same_frame_is_the_same() -> None:
    found = matching.judge_series(frame(50, noise=3), around(50, 30))
    assert (found.verdict, found.shift, found.agrees) == (Verdict.RE_ENCODED, 0, True)


def test_a_still_scene_is_never_the_same_and_harmless() -> None:
    still = {k: frame(0, noise=120 + k) for k in range(-30, 31)}
    found = matching.judge_series(frame(0, noise=3), still)
    assert (found.verdict, found.still, found.agrees) == (Verdict.CANNOT_TELL, True, True)


def test_a_still_scene_of_another_picture_is_different() -> None:
    still = {k: frame(400, noise=120 + k) for k in range(-30, 31)}
    mirrored = frame(0).reshape(18, 32)[:, ::-1].ravel()
    assert matching.judge_series(mirrored, still).verdict is Verdict.DIFFERENT


def describe(number: int, *, near: bool = True, neighbours: bool = False) -> Description:
    found = around(number, 10)
    return Description(
        f"{number:064x}",
        found[0],
        is_frame=True,
        near=matching.measure_near(found[0], found) if near else None,
        neighbours={k: v for k, v in found.items() if k and abs(k) <= 5} if neighbours else None,
    )


@pytest.mark.parametrize(
    ("one", "other", "verdict", "shift"),
    [
        (describe(50), replace(describe(50), sha256="a" * 64), Verdict.RE_ENCODED, None),
        (describe(50, near=False), describe(52, near=False), Verdict.CANNOT_TELL, None),
        (describe(50), describe(52), Verdict.CANNOT_TELL, None),
        (describe(50, neighbours=True), describe(53), Verdict.SHIFTED, -3),
        (describe(50), describe(53, neighbours=True), Verdict.SHIFTED, -3),
        (describe(50, neighbours=True), describe(53, neighbours=True), Verdict.SHIFTED, -3),
    ],
)
def test_two_locks_give_one_verdict_in_both_directions(
    one: Description, other: Description, verdict: Verdict, shift: int | None
) -> None:
    there, back = matching.judge_pair(one, other), matching.judge_pair(other, one)
    assert there.verdict is back.verdict is verdict
    if shift is not None:
        # `shift`: the second copy's frame n + shift shows what the first one's frame n shows.
        assert (there.shift, back.shift) == (shift, -shift)
    assert there.agrees is back.agrees is (verdict is Verdict.RE_ENCODED)


def test_equal_bytes_are_identical_whatever_else_is_known() -> None:
    one = Description("a" * 64, None)
    assert matching.judge_pair(one, Description("a" * 64, frame(3))).verdict is Verdict.IDENTICAL
    assert not matching.judge_pair(one, Description("b" * 64, frame(3))).agrees


def test_a_line_is_fitted_where_the_rate_changed() -> None:
    frames = list(range(0, 170, 10))
    line = matching.fit_line(frames, [-round(n / 6) for n in frames])
    assert line is not None and line[1] == pytest.approx(-1 / 6, abs=0.01)
    assert matching.fit_line(frames, [3] * len(frames)) is None
    assert matching.fit_line([1, 2], [1, 9]) is None
    random = np.random.default_rng(1).integers(-30, 30, len(frames))
    assert matching.fit_line(frames, random.tolist()) is None


def test_frames_of_a_video_together_find_what_one_cannot() -> None:
    """Slow motion, where a single frame is not sure."""

    def slow(at: float, noise: int) -> Luma:
        return frame(at / 12, noise=noise)

    def series(at: int, shift: int) -> matching.Series:
        own = {k: slow(at + k, 109 + k) for k in range(-30, 31)}
        return matching.measure_series(at, slow(at + shift, 5), own)

    together = matching.judge_video([series(at, 6) for at in range(0, 400, 20)])
    assert together is not None and together.verdict is Verdict.SHIFTED
    assert abs((together.shift or 0) - 6) <= 1
    in_place = matching.judge_video([series(at, 0) for at in range(0, 400, 20)])
    assert in_place is not None and in_place.verdict is not Verdict.SHIFTED
    assert matching.judge_video([]) is None
