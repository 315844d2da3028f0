"""Sheets of pictures with masks and no phrases, for `saco preview`: SA-1B."""

from __future__ import annotations

import random
from collections.abc import Iterator

from PIL import Image, ImageDraw, ImageFont

from saco_data.config.subset import SubsetConfig
from saco_data.dataset.dataset import Dataset, files_of
from saco_data.dataset.drawing import draw_masks
from saco_data.dataset.masked_pictures import MaskedPicture, MaskedSubset
from saco_data.report.masklets import GAP, INK, PAPER, SOFT


def choose(config: SubsetConfig, seed: int) -> Iterator[MaskedPicture]:
    """The pictures of a prepared subset in an order that depends on the seed alone."""
    files = files_of(config.manifest, config.derived, config.images)
    subset = Dataset({config.id: files})[config.id]
    assert isinstance(subset, MaskedSubset)
    chance = random.Random(seed)  # noqa: S311
    seen: set[int] = set()
    while len(seen) < len(subset):
        at = chance.randrange(len(subset))
        if at not in seen:
            seen.add(at)
            yield subset[at]


def draw_sheet(config: SubsetConfig, picture: MaskedPicture, width: int) -> Image.Image:
    """The picture, and beside it the same with its masks. Raises AnnotationError, Incomplete."""
    image = picture.image()
    image = image.resize((width, max(1, round(width * image.height / image.width))))
    # Small masks stay visible on large ones.
    masks = sorted((each.mask for each in picture.masks()), key=lambda mask: -int(mask.sum()))
    drawn = draw_masks(image, masks)
    sheet = Image.new("RGB", (2 * width + 3 * GAP, image.height + 2 * GAP + 36), PAPER)
    for at, panel in enumerate((image, drawn)):
        sheet.paste(panel, (GAP + at * (width + GAP), GAP))
    pen, place = ImageDraw.Draw(sheet), (GAP, image.height + 2 * GAP)
    count = f"{len(masks)} {'mask' if len(masks) == 1 else 'masks'}"
    large, small = ImageFont.load_default(18), ImageFont.load_default(15)
    pen.text(place, picture.name, INK, large)
    pen.text((width + 2 * GAP, place[1]), f"{count}   {config.id}", SOFT, small)
    return sheet
