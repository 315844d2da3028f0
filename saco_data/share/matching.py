"""Are two pictures the same one, encoded anew? Pure functions on descriptors (`media.luma`).

All distances are residuals: what is left, as rms in grey levels, after gain and offset are fitted,
so that other contrast or brightness does not count. The thresholds and their measured errors are in
docs/fidelity.md; benchmarks/fidelity.py measures them again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Luma = NDArray[np.uint8]

REACH = 30  # frames to each side that are tried where the video is at hand
NEAR = 5  # frames to each side that a lock may hold
GAINS = (0.8, 1.25)
RATIO = 1.5  # another frame must fit so much better
MARGIN = 0.15**2  # and by so much, in squared grey levels
FRAME_DIFFERS = 0.18  # of the contrast
PICTURE_DIFFERS = 0.12  # of the contrast, for still pictures
PICTURE_NEARLY = 0.05
LEAST = 1.5  # grey levels; below it no picture counts as different, however flat it is
STILL = 4.0  # grey levels; where no block changes by more, the scene is still


class Verdict(StrEnum):
    """How a picture of one copy relates to that of another."""

    IDENTICAL = "identical"  # the same bytes
    RE_ENCODED = "re-encoded"  # the same picture or frame
    SHIFTED = "shifted"  # another frame of the same video
    DIFFERENT = "different"  # neither that frame nor one near it
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Judgement:
    """A verdict; `shift`: this copy's frame n + shift shows what the lock's frame n shows.

    `still`: the scene does not move, so that any of these frames fits. `residual` in grey levels.
    `note`: a reason for people, where there is more to say.
    """

    verdict: Verdict
    shift: int | None = None
    still: bool = False
    residual: float | None = None
    note: str = ""

    @property
    def agrees(self) -> bool:
        """Whether the same annotation fits both pictures."""
        return self.still or self.verdict in (Verdict.IDENTICAL, Verdict.RE_ENCODED)


@dataclass(frozen=True)
class Description:
    """What a lock says of a picture: its sha256, its descriptor, and, of a frame, what is near it.

    `near`: the least residuals between it and the frames one and two away. `neighbours`: the
    descriptors of frames up to `NEAR` away, by distance. `is_frame`: it is a frame of a video.
    `still`: whether the frames up to 10 away show the same.
    """

    sha256: str
    luma: Luma | None
    is_frame: bool = False
    still: bool = False
    near: tuple[float, float] | None = None
    neighbours: Mapping[int, Luma] | None = None


IDENTICAL = Judgement(Verdict.IDENTICAL, residual=0.0)


def residuals(reference: Luma, candidates: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The residual of each candidate, uint8 [n, 576], against the reference, uint8 [576]."""
    left = _fit(reference, candidates)
    result: NDArray[np.float64] = np.sqrt((left * left).mean(axis=1))
    return result


def _fit(reference: Luma, candidates: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What is left of each block, float64 [n, 576], after gain and offset are fitted."""
    x = reference.astype(np.float64)
    y = candidates.astype(np.float64)
    y_mean = y.mean(axis=1, keepdims=True)
    x, y = x - x.mean(), y - y_mean
    spread = (y * y).mean(axis=1)
    gain = np.clip((y @ x) / x.size / np.maximum(spread, 1e-9), *GAINS)
    left: NDArray[np.float64] = x[None, :] - gain[:, None] * y
    return left


def distance(one: Luma, other: Luma) -> float:
    """The residual of two descriptors, the same in both directions."""
    return float(max(residuals(one, other[None])[0], residuals(other, one[None])[0]))


def measure_near(own: Luma, around: Mapping[int, Luma]) -> tuple[float, float] | None:
    """The least residuals to the frames one and two away; None without such frames."""
    found = [[distance(own, around[k]) for k in (-step, step) if k in around] for step in (1, 2)]
    return (min(found[0]), min(found[1])) if all(found) else None


def is_still(around: Mapping[int, Luma]) -> bool:
    """Whether the frames up to 10 away (0 is the frame itself) show a still scene.

    The block that changes most counts: a mask may lie on something small.
    """
    others = [luma for k, luma in around.items() if 0 < abs(k) <= 10]
    return not others or float(np.abs(_fit(around[0], np.stack(others))).max()) < STILL


def judge_series(reference: Luma, candidates: Mapping[int, Luma]) -> Judgement:
    """What this copy's frame n (0) and the frames around it (by distance) say of a lock's frame."""
    return measure_series(0, reference, candidates).judge()


def decide(
    shifts: NDArray[np.int64],
    squares: NDArray[np.float64],
    contrast: float,
    still: bool,
    number: int = 1,
) -> Judgement:
    """The verdict from squared residuals by shift, or from their mean over `number` frames."""
    margin = MARGIN / math.sqrt(number)
    here = float(squares[shifts == 0][0])
    best = float(squares.min())
    shift = int(shifts[squares.argmin()])
    far = float(squares[np.abs(shifts) >= 2].min(initial=math.inf))
    residual = math.sqrt(best)
    if residual > max(FRAME_DIFFERS * contrast, LEAST):
        return Judgement(Verdict.DIFFERENT, residual=residual)
    if still:
        return Judgement(
            Verdict.CANNOT_TELL, still=True, residual=residual, note="still: any frame here fits"
        )
    if here > RATIO**2 * best and here - best > margin:
        return Judgement(Verdict.SHIFTED, shift, residual=residual)
    if math.isfinite(far) and far > RATIO**2 * here and far - here > margin:
        return Judgement(Verdict.RE_ENCODED, 0, residual=math.sqrt(here))
    return Judgement(Verdict.CANNOT_TELL, residual=residual, note="it moves too little")


def judge_picture(one: Luma, other: Luma) -> Judgement:
    """The verdict on two still pictures that are not the same bytes."""
    left = distance(one, other)
    contrast = float(one.std() + other.std()) / 2
    if left > max(PICTURE_DIFFERS * contrast, LEAST):
        return Judgement(Verdict.DIFFERENT, residual=left)
    if left > max(PICTURE_NEARLY * contrast, LEAST):
        note = "other colours, or framed a little differently"
        return Judgement(Verdict.CANNOT_TELL, residual=left, note=note)
    return Judgement(Verdict.RE_ENCODED, residual=left)


def judge_pair(one: Description, other: Description) -> Judgement:
    """The verdict from two locks alone, the same in both directions but for the sign of a shift."""
    if one.sha256 == other.sha256:
        return IDENTICAL
    if one.luma is None or other.luma is None:
        return Judgement(Verdict.CANNOT_TELL, note="a lock holds no descriptor of it")
    if not one.is_frame:
        return judge_picture(one.luma, other.luma)
    series = []
    if other.neighbours:
        series.append(judge_series(one.luma, {0: other.luma, **other.neighbours}))
    if one.neighbours:
        found = judge_series(other.luma, {0: one.luma, **one.neighbours})
        shift = -found.shift if found.shift else found.shift
        series.append(Judgement(found.verdict, shift, found.still, found.residual, found.note))
    if series:
        first = series[0]
        agree = all(
            (s.verdict, s.shift, s.still) == (first.verdict, first.shift, first.still)
            for s in series
        )
        if agree:
            return first
        return Judgement(Verdict.CANNOT_TELL, note="the two locks contradict each other")
    return _judge_by_near(one, other, one.luma, other.luma)


def _judge_by_near(one: Description, other: Description, a: Luma, b: Luma) -> Judgement:
    """From the descriptors and how much the scene moves: never "shifted", for lack of frames."""
    left = distance(a, b)
    contrast = float(a.std() + b.std()) / 2
    if left > max(FRAME_DIFFERS * contrast, LEAST):
        note = "perhaps another frame: compare the lock with the videos of the other copy"
        return Judgement(Verdict.DIFFERENT, residual=left, note=note)
    known = [each.near for each in (one, other) if each.near is not None]
    if not known:
        note = "the locks were made without the videos"
        return Judgement(Verdict.CANNOT_TELL, residual=left, note=note)
    step, two = (min(each[at] for each in known) for at in (0, 1))
    if one.still and other.still:
        note = "still: any frame here fits"
        return Judgement(Verdict.CANNOT_TELL, still=True, residual=left, note=note)
    if two > RATIO * left and two**2 - left**2 > MARGIN:
        return Judgement(Verdict.RE_ENCODED, residual=left)
    note = "it moves too little"
    if left > RATIO * step:
        note = "suspect: compare the lock with the videos of the other copy"
    return Judgement(Verdict.CANNOT_TELL, residual=left, note=note)


@dataclass(frozen=True)
class Series:
    """One frame of a video: its number, and the squared residual of each shift that was tried."""

    frame: int
    shifts: NDArray[np.int64]
    squares: NDArray[np.float64]
    contrast: float
    still: bool

    def judge(self) -> Judgement:
        """The verdict on this frame alone."""
        return decide(self.shifts, self.squares, self.contrast, self.still)


def measure_series(frame: int, reference: Luma, candidates: Mapping[int, Luma]) -> Series:
    """The squared residuals of a lock's frame against this copy's frames by distance."""
    shifts = np.array(sorted(candidates))
    left = residuals(reference, np.stack([candidates[k] for k in shifts]))
    return Series(frame, shifts, left**2, float(reference.std()), is_still(candidates))


def judge_video(series: Sequence[Series]) -> Judgement | None:
    """The verdict on several frames of a video together, for one shift of all; None for none."""
    moving = [each for each in series if not each.still]
    if not moving:
        return None
    common = sorted(set.intersection(*(set(each.shifts.tolist()) for each in moving)))
    if 0 not in common:
        return None
    squares = np.mean([each.squares[np.isin(each.shifts, common)] for each in moving], axis=0)
    contrast = float(np.mean([each.contrast for each in moving]))
    return decide(np.array(common), squares, contrast, still=False, number=len(moving))


def fit_line(frames: Sequence[int], shifts: Sequence[int]) -> tuple[float, float] | None:
    """(offset, slope) of shifts that grow with the frame number, as where the rate changed.

    None where fewer than 3 frames are known, where the shift is the same within a frame, or where
    fewer than 4 in 5 of the frames lie within a frame of the line.
    """
    if len(frames) < 3 or max(shifts) - min(shifts) <= 1:
        return None
    x, y = np.array(frames, np.float64), np.array(shifts, np.float64)
    dx = x[None, :] - x[:, None]
    slopes = (y[None, :] - y[:, None])[dx > 0] / dx[dx > 0]
    slope = float(np.median(slopes)) if slopes.size else 0.0
    offset = float(np.median(y - slope * x))
    fits = np.abs(y - offset - slope * x) <= 1
    return (offset, slope) if slope and float(fits.mean()) >= 0.8 else None
