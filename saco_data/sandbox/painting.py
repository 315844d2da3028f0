"""Light, shadow and texture for drawn scenes, so that they look a little like photographs.

Nothing here moves an outline: masks stay exact. `RandomState` gives the same numbers in every
version of numpy.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Floats = NDArray[np.float32]
HORIZON = 0.42  # where the wall ends and the table begins, as a part of the height
WALL, TABLE = (176, 182, 178), (150, 112, 78)
SHADOW = 0.45  # of the light that a shadow takes away


@lru_cache(maxsize=4)
def paint_room(width: int, height: int, seed: int) -> Floats:
    """A plain wall above a wooden table, float32 [height, width, 3], 0 to 255; only to read."""
    chance = np.random.RandomState(seed)
    horizon = int(HORIZON * height)
    room = np.empty((height, width, 3), np.float32)
    tints = chance.uniform(-14, 14, (2, 3)).astype(np.float32)
    room[:horizon] = np.array(WALL, np.float32) + tints[0]
    room[horizon:] = np.array(TABLE, np.float32) + tints[1]
    # Plaster is blotchy in all directions, wood along its grain.
    room[:horizon] += 9 * _smooth(chance, (horizon, width), (5, 7))[..., None]
    grain = _smooth(chance, (height - horizon, width), (26, 3))
    room[horizon:] += (16 * grain + 6 * np.sin(18 * grain))[..., None]
    across = np.linspace(1.12, 0.86, width, dtype=np.float32)
    down = np.linspace(0.92, 1.06, height, dtype=np.float32)
    return room * across[None, :, None] * down[:, None, None]


def cast_shadow(picture: Floats, mask: NDArray[np.uint8], radius: float) -> None:
    """Darkens the picture below and to the right of an object, in place."""
    soft = Image.fromarray(mask * 255).filter(ImageFilter.GaussianBlur(radius / 4))
    shift = max(1, round(radius / 4))
    dark = np.roll(np.asarray(soft, np.float32) / 255, (shift, shift), (0, 1))
    dark[:shift], dark[:, :shift] = 0, 0
    picture *= (1 - SHADOW * dark)[..., None]


def fill(
    picture: Floats,
    mask: NDArray[np.uint8],
    colour: tuple[int, int, int],
    centre: tuple[float, float],
    radius: float,
) -> None:
    """Paints an object that is lit from the upper left, in place. Its median colour is `colour`."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return
    x, y = (columns - centre[0]) / radius, (rows - centre[1]) / radius
    light = 1 - 0.16 * (x + y)
    light /= np.median(light)
    shine = np.exp(-((x + 0.42) ** 2 + (y + 0.45) ** 2) / 0.012)
    base: NDArray[Any] = np.array(colour, np.float32) * light[:, None]
    picture[rows, columns] = base + (235 - base) * (0.75 * shine)[:, None]


def _smooth(chance: np.random.RandomState, size: tuple[int, int], cells: tuple[int, int]) -> Floats:
    """Smooth noise of about -1 to 1, float32 `size`, with so many cells down and across."""
    total = np.zeros(size, np.float32)
    for octave, weight in ((1, 0.65), (3, 0.35)):
        down, across = (min(each * octave, side) for each, side in zip(cells, size, strict=True))
        coarse = Image.fromarray(chance.uniform(-1, 1, (down, across)).astype(np.float32))
        fine = coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC)
        total += weight * np.asarray(fine, np.float32)
    return total
