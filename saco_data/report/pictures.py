"""Pictures made small for pages and sheets, and what can be measured of how a mask lies on one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from saco_data.dataset.masks import Mask
from saco_data.report.drawing import scaled
from saco_data.storage.names import UnsafeName, safe_join


class NoPicture(ValueError):
    """A product file that cannot be shown; says why."""


@dataclass(frozen=True, slots=True)
class Looks:
    """How the masks of a phrase lie on a picture.

    `area`: part of the picture that they cover, 0 to 1. `contrast`: distance between the mean
    colours inside the masks and in a rim around them, in YCbCr levels (None: there is no rim).
    `sharpness`: variance of the Laplacian of the grey picture. The last two depend on the size of
    the picture that is measured.
    """

    area: float
    contrast: float | None
    sharpness: float


def opened(root: Path, name: str, size: tuple[int, int], longest: int) -> Image.Image:
    """The picture `name` below `root`, RGB, its longest side at most `longest` pixels.

    `size` is the annotated (width, height): where only the EXIF orientation makes the file fit, it
    is turned. Raises NoPicture.
    """
    try:
        with Image.open(safe_join(root, name)) as image:
            fits = image.size == size
            image.draft("RGB", (longest, longest))
            upright = image if fits else ImageOps.exif_transpose(image)
            small = upright.convert("RGB")
    except (OSError, ValueError, SyntaxError, UnsafeName, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or "is no picture that can be opened"
        raise NoPicture(reason) from error
    small.thumbnail((longest, longest))
    return small


def measured(picture: Image.Image, masks: Sequence[Mask]) -> Looks:
    """Measures a picture and the masks of one phrase on it."""
    whole = np.logical_or.reduce(masks)
    within = scaled(whole, picture.size)
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
