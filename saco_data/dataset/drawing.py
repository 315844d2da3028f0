"""Masks drawn onto pictures, in colours that differ from each other and from the picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from saco_data.dataset.masks import Mask

# The colours of Okabe and Ito: distinct also for colour-blind people, and from most photographs.
PALETTE = (
    (230, 159, 0),
    (86, 180, 233),
    (204, 121, 167),
    (0, 158, 115),
    (240, 228, 66),
    (213, 94, 0),
    (0, 114, 178),
)
FILL_ALPHA = 110  # of 255
HALO = 2 * len(PALETTE) + 1  # index of white among the layer's colours
# A mask of fewer pixels across gets a ring around it, so that it can be found.
TINY = 12
MAX_RINGS = 50


def scale_mask(mask: Mask, size: tuple[int, int]) -> Mask:
    """The mask at another (width, height); at least one pixel is left unless it is empty."""
    if size == (mask.shape[1], mask.shape[0]):
        return mask
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    cover: NDArray[np.uint8] = np.asarray(image.resize(size, Image.Resampling.BOX))
    if not mask.any():
        return cover > 255
    return cover >= max(1, min(128, int(cover.max())))


def draw_layer(
    masks: Sequence[Mask], picture: Image.Image, colours: Sequence[int] | None = None
) -> Image.Image:
    """The masks as a mostly transparent layer of the picture's size, mode P.

    Each mask is filled faintly and has a solid edge and a white halo. Its colour is the one, of
    those not used yet, that differs most from the picture under it; after seven masks colours
    repeat. `colours`: instead, the position in the palette for each mask (any whole number).
    """
    number = len(PALETTE)
    pixels = np.zeros((picture.height, picture.width), np.uint8)
    under = np.asarray(picture.convert("RGB"), np.float32)
    rings: list[tuple[int, tuple[float, float]]] = []
    unused: list[int] = []
    for at, mask in enumerate(masks):
        small = scale_mask(mask, picture.size)
        if not small.any():
            continue
        if colours is not None:
            colour = 1 + colours[at] % number
        else:
            unused = unused or list(range(number))
            mean = under[small].mean(axis=0)
            distances = np.linalg.norm(np.asarray(PALETTE)[unused] - mean, axis=1)
            colour = 1 + unused.pop(int(distances.argmax()))
        edge = small & ~_shrink(small, max(1, min(picture.size) // 160))
        pixels[_grow(small) & (pixels == 0)] = HALO
        pixels[small] = colour
        pixels[edge] = colour + number
        rows, columns = np.nonzero(small)
        if max(np.ptp(rows), np.ptp(columns)) < TINY:
            rings.append((colour + number, (float(columns.mean()), float(rows.mean()))))
    layer = Image.fromarray(pixels)
    draw = ImageDraw.Draw(layer)
    for colour, (x, y) in islice(rings, MAX_RINGS):
        draw.ellipse((x - TINY, y - TINY, x + TINY, y + TINY), outline=colour, width=2)
    layer.putpalette([0, 0, 0, *(part for rgb in (*PALETTE * 2, (255,) * 3) for part in rgb)])
    layer.info["transparency"] = bytes([0] + [FILL_ALPHA] * number + [255] * number + [220])
    return layer


def draw_masks(picture: Image.Image, masks: Sequence[Mask]) -> Image.Image:
    """The picture with its masks drawn on it, RGB."""
    under = picture.convert("RGBA")
    over = draw_layer(masks, picture).convert("RGBA")
    return Image.alpha_composite(under, over).convert("RGB")


def _shrink(mask: Mask, by: int) -> Mask:
    """The mask without its outermost `by` pixels; the border of the picture counts as outside."""
    for _ in range(by):
        wide = np.pad(mask, 1)
        mask = mask & wide[:-2, 1:-1] & wide[2:, 1:-1] & wide[1:-1, :-2] & wide[1:-1, 2:]
    return mask


def _grow(mask: Mask) -> Mask:
    """The mask with the pixels beside it."""
    wide = np.pad(mask, 1)
    beside = wide[:-2, 1:-1] | wide[2:, 1:-1] | wide[1:-1, :-2] | wide[1:-1, 2:]
    grown: Mask = mask | beside
    return grown
