"""`saco preview`: sheets of pictures, each with its masks alone, both together, the phrase."""

from __future__ import annotations

import io
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from saco_data.config.settings import Settings
from saco_data.dataset import pairs
from saco_data.dataset.masks import Mask
from saco_data.dataset.pairs import Pair, Pairs, plain
from saco_data.model.errors import Incomplete
from saco_data.report.drawing import drawn, layer
from saco_data.report.pictures import NoPicture, opened
from saco_data.storage import files
from saco_data.storage.folders import list_files

PANEL = 640  # pixels, longest side of a picture on a sheet
GAP = 16
PAPER, INK, SOFT = (250, 249, 246), (30, 33, 36), (92, 96, 102)
# One sheet in so many shows a phrase that is not in its picture.
NEGATIVE_EVERY = 5
_PLAIN = re.compile(r"[^\w.-]+")


@dataclass
class Drawn:
    """The sheets that were written, and what was left out of them, by name."""

    sheets: list[Path] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def draw(settings: Settings, subset: str, seed: int = 0) -> Drawn:
    """Writes `num_images_show` sheets to `directory_save`; the same seed chooses the same pictures.

    Raises Incomplete where no picture of the subset is ready, AnnotationError, DiskFull and
    OutputError.
    """
    root, folder = settings.images(subset), settings.path(settings.keys.directory_save)
    derived = settings.pruned(subset)
    content = pairs.read(derived if derived.exists() else settings.pristine(subset))
    ready = list_files(root)
    by_file = {name: found for name, found in content.by_file().items() if name in ready}
    if not by_file:
        raise Incomplete(
            "no picture is ready yet", item=subset, remedy=f"Run `saco prepare {subset}` first"
        )
    result = Drawn()
    chance = random.Random(seed)  # noqa: S311
    names = list(by_file)
    chance.shuffle(names)
    for name in names:
        number = len(result.sheets) + 1
        if number > settings.keys.num_images_show:
            break
        pair = _choice(chance, content, by_file[name], negative=number % NEGATIVE_EVERY == 0)
        masks, damaged = pairs.decoded(pair, content.of(pair))
        result.skipped += [f"{plain(name)}: {each}" for each in damaged]
        try:
            picture = opened(root, name, (pair.width, pair.height), PANEL)
        except NoPicture as error:
            result.skipped.append(f"{plain(name)}: {error}; skipped")
            continue
        sheet = _sheet(subset, pair, picture, masks, len(damaged))
        path = folder / f"{subset}_{number:03d}_{_PLAIN.sub('_', str(pair.id))[:40]}.png"
        buffer = io.BytesIO()
        sheet.save(buffer, "PNG")
        files.write_if_changed(path, buffer.getvalue())
        result.sheets.append(path)
    return result


def _choice(chance: random.Random, content: Pairs, found: list[Pair], *, negative: bool) -> Pair:
    fitting = [pair for pair in found if bool(content.of(pair)) != negative]
    return chance.choice(fitting or found)


def _sheet(
    subset: str, pair: Pair, picture: Image.Image, masks: list[Mask], damaged: int
) -> Image.Image:
    """Picture, masks alone, both together, and below them what they are of."""
    width, height = picture.size
    alone = Image.new("RGB", picture.size, (24, 26, 29))
    shapes = layer(masks, picture).convert("RGBA")
    # Alone, masks are drawn solid.
    alone.paste(
        shapes.convert("RGB"), mask=shapes.getchannel("A").point(lambda alpha: 255 * (alpha > 0))
    )
    panels = (picture, alone, drawn(picture, masks))
    sheet = Image.new("RGB", (3 * width + 4 * GAP, height + 2 * GAP + 72), PAPER)
    for at, panel in enumerate(panels):
        sheet.paste(panel, (GAP + at * (width + GAP), GAP))
    pen = ImageDraw.Draw(sheet)
    count = f"{len(masks)} {'mask' if len(masks) == 1 else 'masks'}"
    if damaged:
        count += f", {damaged} damaged and skipped"
    if not masks and not damaged:
        count = "not in the picture"
    large, small = ImageFont.load_default(24), ImageFont.load_default(15)
    room = sheet.width - 2 * GAP
    pen.text((GAP, height + 2 * GAP), _cut(pen, pair.phrase, large, room), INK, large)
    below = f"{count}   {subset}   {plain(pair.file_name)}"
    pen.text((GAP, height + 2 * GAP + 36), _cut(pen, below, small, room), SOFT, small)
    return sheet


def _cut(
    pen: ImageDraw.ImageDraw,
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    room: int,
) -> str:
    if pen.textlength(text, font) <= room:
        return text
    while text and pen.textlength(f"{text}…", font) > room:
        text = text[:-1]
    return f"{text}…"
