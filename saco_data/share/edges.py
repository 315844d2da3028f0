"""Which frame near frame n fits the contours of its masks best? Pure functions on pixels and masks.

Across a contour the strongest edge should lie on the contour itself. Thresholds and measured errors
are in docs/fidelity.md; benchmarks/fidelity_masks.py measures them again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

REACH = 5  # frames to each side that are tried
SHIFTS = range(-REACH, REACH + 1)
LONGEST = 640  # pixels of the longest side to which pictures and masks are scaled
LEAST_PRODUCTS = 3
LEAST_POINTS = 60  # of the contours of a picture
CERTAIN = 3.0  # t of the best frame against frame n
PEAK = 1.0  # t of the best frame against each frame two or more away from it
BRIGHTNESS = 0.25  # of the mean; where the frames spread by more, something flashes

_ACROSS = 8  # pixels to each side of a contour
_BORDER = 8  # pixels of the border in which no contour counts
_NEAR = 2.0  # pixels, sigma
_MOST_POINTS = 400
_PER_POINT = 10  # pixels of a contour for one independent point
_FAINT = 4.0  # levels; below it there is no edge


@dataclass(frozen=True)
class Contour:
    """The contours of all masks of a picture: places and normals, float64 [2, n] as (y, x).

    `length` in pixels: `n` is at most `_MOST_POINTS`.
    """

    places: NDArray[np.float64]
    normals: NDArray[np.float64]
    length: int


@dataclass(frozen=True)
class Look:
    """How well one frame fits each point of a contour, 0 to 1, and how bright it is."""

    scores: NDArray[np.float32]
    brightness: float


@dataclass(frozen=True)
class Fit:
    """How well the frames around a product fit its contours.

    `scores` float32 [11, n]: for each shift from -5 to 5, for each point of the contour, 0 to 1.
    `brightness` float64 [11]: the mean of each frame.
    """

    scores: NDArray[np.float32]
    brightness: NDArray[np.float64]
    length: int

    @property
    def is_usable(self) -> bool:
        """Whether there is enough of a contour, and nothing flashes."""
        spread = float(np.ptp(self.brightness))
        return self.length >= LEAST_POINTS and spread <= BRIGHTNESS * float(self.brightness.mean())


def scaled_size(width: int, height: int) -> tuple[int, int]:
    """The size at which a picture is looked at: (width, height), the longest side at most 640."""
    scale = min(1.0, LONGEST / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def find_contour(masks: Sequence[NDArray[np.bool_]]) -> Contour:
    """The contours of masks, bool [height, width] each, of one picture of `scaled_size`."""
    places, normals = [], []
    taken: NDArray[np.bool_] | None = None
    for mask in masks:
        edge = mask & ~ndimage.binary_erosion(mask)
        edge[:_BORDER] = edge[-_BORDER:] = False
        edge[:, :_BORDER] = edge[:, -_BORDER:] = False
        if taken is None:
            taken = np.zeros(mask.shape, bool)
        edge &= ~taken  # the same thing under another phrase is no further evidence
        taken |= ndimage.binary_dilation(edge, iterations=2)
        found = np.argwhere(edge).T
        smooth = ndimage.gaussian_filter(mask.astype(np.float32), 2.0)
        slope = np.stack([each[found[0], found[1]] for each in np.gradient(smooth)])
        size = np.hypot(*slope)
        clear = size > 1e-3
        # The contour itself lies half a pixel outside of the last pixel of the mask.
        normal = -slope[:, clear] / size[clear]
        places.append(found[:, clear] + 0.5 * normal)
        normals.append(normal)
    if not places:
        return Contour(np.zeros((2, 0)), np.zeros((2, 0)), 0)
    place, normal = np.concatenate(places, axis=1), np.concatenate(normals, axis=1)
    length = place.shape[1]
    some = np.linspace(0, length - 1, min(length, _MOST_POINTS)).astype(int)
    return Contour(place[:, some], normal[:, some], length)


def score(contour: Contour, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """How well a picture, uint8 [3, height, width], fits each point of a contour: float32 [n].

    1 where the strongest edge within 8 pixels across the contour is on it, towards 0 elsewhere.
    """
    offsets = np.arange(-_ACROSS - 1, _ACROSS + 2)
    at = contour.places[:, :, None] + contour.normals[:, :, None] * offsets
    lines = np.stack(
        [
            ndimage.map_coordinates(plane, at, np.float32, order=1, mode="nearest")
            for plane in picture
        ]
    )
    edges = np.sqrt((((lines[:, :, 2:] - lines[:, :, :-2]) / 2) ** 2).sum(axis=0))
    weights = np.exp(-(offsets[1:-1] ** 2) / (2 * _NEAR**2))
    near = (edges * weights).max(axis=1)
    result: NDArray[np.float32] = (near / np.maximum(edges.max(axis=1), _FAINT)).astype(np.float32)
    return result


def look(contour: Contour, picture: NDArray[np.uint8]) -> Look:
    """What one frame, uint8 [3, height, width] with brightness first, says of a contour."""
    return Look(score(contour, picture), float(picture[0].mean()))


def join(contour: Contour, looks: Mapping[int, Look]) -> Fit | None:
    """All frames around a product, by distance; None where one of them is missing."""
    if any(k not in looks for k in SHIFTS):
        return None
    scores = np.stack([looks[k].scores for k in SHIFTS])
    brightness = np.array([looks[k].brightness for k in SHIFTS])
    return Fit(scores, brightness, contour.length)


def judge(fits: Sequence[Fit]) -> int | None:
    """By how many frames the products of a video look shifted: frame n + k fits better than n.

    None where they do not, or where it cannot be told.
    """
    usable = [each for each in fits if each.is_usable]
    if len(usable) < LEAST_PRODUCTS:
        return None
    scores = np.concatenate([each.scores for each in usable], axis=1)
    best = int(scores.mean(axis=1).argmax())
    shift = SHIFTS[best]
    if abs(shift) < 2:
        return None
    independent = sum(each.length for each in usable) / _PER_POINT
    if _t(scores[best] - scores[REACH], independent) <= CERTAIN:
        return None
    others = [at for at, k in enumerate(SHIFTS) if abs(k - shift) >= 2]
    if min(_t(scores[best] - scores[at], independent) for at in others) <= PEAK:
        return None  # another one is as good
    alone = [SHIFTS[int(each.scores.mean(axis=1).argmax())] for each in usable]
    agree = sum(abs(k - shift) <= 1 for k in alone)
    return shift if 2 * agree > len(usable) else None


def _t(differences: NDArray[np.float32], independent: float) -> float:
    spread = float(differences.std())
    mean = float(differences.mean())
    return mean / spread * math.sqrt(independent) if spread else 0.0
