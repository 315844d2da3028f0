"""Masks from annotations, and how they are drawn. A damaged one is refused by name, never guessed.

pycocotools reads past the end of memory when the run lengths of a compressed RLE do not fill its
picture exactly, so they are counted here first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from saco_data.dataset.masks import Mask

# Okabe and Ito's colours: told apart also by colour-blind eyes, and apart from most photographs.
PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (204, 121, 167),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (0, 114, 178),
)


FILL_ALPHA = 110


HALO = 2 * len(PALETTE) + 1  # the number of the white one among the layer's colours


# Below this many pixels across, a mask gets a ring around it: else nobody would find it.
TINY = 12


def scaled(mask: Mask, size: tuple[int, int]) -> Mask:
    """A mask at another (width, height); one that is not empty keeps at least one pixel."""
    if size == (mask.shape[1], mask.shape[0]):
        return mask
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    cover: NDArray[np.uint8] = np.asarray(image.resize(size, Image.Resampling.BOX))
    if not mask.any():
        return cover > 255
    return cover >= max(1, min(128, int(cover.max())))


def layer(masks: Sequence[Mask], picture: Image.Image) -> Image.Image:
    """The masks of a picture as a mostly transparent layer of its size, mode P.

    Filled faintly, with a firm edge and a white halo. The first ones have a colour each, the one
    that differs most from what lies under it.
    """
    number = len(PALETTE)
    pixels = np.zeros((picture.height, picture.width), np.uint8)
    under = np.asarray(picture.convert("RGB"), np.float32)
    rings: list[tuple[int, tuple[float, float]]] = []
    free: list[int] = []
    for mask in masks:
        small = scaled(mask, picture.size)
        if not small.any():
            continue
        free = free or list(range(number))
        distances = np.linalg.norm(np.asarray(PALETTE)[free] - under[small].mean(axis=0), axis=1)
        colour = 1 + free.pop(int(distances.argmax()))
        edge = small & ~_shrunk(small, max(1, min(picture.size) // 160))
        pixels[_grown(small) & (pixels == 0)] = HALO
        pixels[small] = colour
        pixels[edge] = colour + number
        rows, columns = np.nonzero(small)
        if max(np.ptp(rows), np.ptp(columns)) < TINY:
            rings.append((colour + number, (float(columns.mean()), float(rows.mean()))))
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    for colour, (x, y) in islice(rings, 50):
        draw.ellipse((x - TINY, y - TINY, x + TINY, y + TINY), outline=colour, width=2)
    image.putpalette([0, 0, 0, *(part for rgb in (*PALETTE * 2, (255,) * 3) for part in rgb)])
    image.info["transparency"] = bytes([0] + [FILL_ALPHA] * number + [255] * number + [220])
    return image


def drawn(picture: Image.Image, masks: Sequence[Mask]) -> Image.Image:
    """The picture with its masks on it, RGB."""
    under = picture.convert("RGBA")
    over = layer(masks, picture).convert("RGBA")
    return Image.alpha_composite(under, over).convert("RGB")


def _shrunk(mask: Mask, by: int) -> Mask:
    """The mask without its outermost `by` pixels; the border of the picture counts as outside."""
    for _ in range(by):
        wide = np.pad(mask, 1)
        mask = mask & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask


def _grown(mask: Mask) -> Mask:
    wide = np.pad(mask, 1)
    beside = wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    grown: Mask = mask | beside
    return grown
