"""Measures how well masks fit a picture, to find pairs that look wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from saco_data.dataset.drawing import scale_mask
from saco_data.dataset.masks import Mask


@dataclass(frozen=True, slots=True)
class Looks:
    """How the masks of a phrase fit a picture.

    `area`: part of the picture that they cover, 0 to 1. `contrast`: distance between the mean
    colours inside the masks and in a rim around them, in YCbCr levels (None without a rim).
    `sharpness`: variance of the Laplacian of the grey picture. The last two depend on the size of
    the picture that is measured.
    """

    area: float
    contrast: float | None
    sharpness: float


def measure(picture: Image.Image, masks: Sequence[Mask]) -> Looks:
    """The measures of one or more masks of a phrase, bool [height, width], on their picture."""
    whole = np.logical_or.reduce(masks)
    within = scale_mask(whole, picture.size)
    wide = Image.fromarray(within.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(11))
    rim = (np.asarray(wide) > 0) & ~within
    contrast = None
    if within.any() and rim.any():
        colours: NDArray[np.float32] = np.asarray(picture.convert("YCbCr"), np.float32)
        difference = colours[within].mean(axis=0) - colours[rim].mean(axis=0)
        contrast = float(np.linalg.norm(difference))
    return Looks(float(whole.mean()), contrast, _sharpness(picture))


def _sharpness(picture: Image.Image) -> float:
    grey: NDArray[np.float32] = np.asarray(picture.convert("L"), np.float32)
    if min(grey.shape) < 3:
        return 0.0
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((around - 4 * grey[1:-1, 1:-1]).var())
