"""`saco preview`: sheets that show a picture, its masks, both together, and the phrase."""

from __future__ import annotations

import io
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from saco_data.config.settings import Settings
from saco_data.dataset import pairs
from saco_data.dataset.drawing import draw_layer, draw_masks
from saco_data.dataset.masks import Mask
from saco_data.dataset.pairs import Pair, Pairs, decode_masks, plain
from saco_data.dataset.pictures import NoPicture, open_picture
from saco_data.model.errors import AnnotationError, Incomplete
from saco_data.report import masked, masklets
from saco_data.storage import files, folders
from saco_data.storage.folders import list_files

PANEL = 640  # pixels, longest side of a picture on a sheet
GAP = 16
PAPER, INK, SOFT = (250, 249, 246), (30, 33, 36), (92, 96, 102)
# Every fifth sheet shows a negative phrase.
NEGATIVE_EVERY = 5
_NOT_IN_NAMES = re.compile(r"[^\w.-]+")


@dataclass
class Drawn:
    """The sheets that were written; `skipped` says what was left out and why."""

    sheets: list[Path] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def draw(settings: Settings, subset: str, seed: int = 0) -> Drawn:
    """Writes `num_images_show` sheets to `directory_save`; the same seed chooses the same pictures.

    Raises Incomplete where no picture of the subset is ready, AnnotationError, DiskFull and
    OutputError.
    """
    root, folder = settings.subset(subset).images, settings.path(settings.keys.directory_save)
    folders.sweep(folder, below=False, idle_seconds=folders.IDLE_SECONDS)
    if settings.subset(subset).manifest.shard_files is not None:
        return _draw_masked(settings, subset, folder, seed)
    if settings.subset(subset).manifest.is_listed:
        return _draw_videos(settings, subset, folder, seed)
    derived = settings.subset(subset).derived
    content = pairs.read(derived if derived.exists() else settings.subset(subset).pristine)
    ready = list_files(root)
    by_file = {name: each for name, each in content.by_file().items() if name in ready}
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
        pair = _choose(chance, content, by_file[name], negative=number % NEGATIVE_EVERY == 0)
        masks, damaged = decode_masks(pair, content.of(pair))
        result.skipped += [f"{plain(name)}: {each}" for each in damaged]
        try:
            picture = open_picture(root, name, (int(pair.width), int(pair.height)), PANEL)
        except NoPicture as error:
            result.skipped.append(f"{plain(name)}: {error}; skipped")
            continue
        sheet = _draw_sheet(subset, pair, picture, masks, len(damaged))
        _write(result, folder, subset, str(pair.id), sheet)
    return result


def _draw_videos(settings: Settings, subset: str, folder: Path, seed: int) -> Drawn:
    """As `draw`, for a subset of videos: their masklets over time."""
    config, result = settings.subset(subset), Drawn()
    videos = masklets.videos_of(config)
    if not videos:
        raise Incomplete(
            "no video is ready yet", item=subset, remedy=f"Run `saco prepare {subset}` first"
        )
    for video in masklets.choose(videos, seed):
        if len(result.sheets) == settings.keys.num_images_show:
            break
        name = masklets.name_of(video)
        try:
            sheet = masklets.draw_sheet(config, video, PANEL // 2)
        except masklets.NoFrames as error:
            result.skipped.append(f"{plain(name)}: {error}; skipped")
            continue
        _write(result, folder, subset, name, sheet)
    return result


def _draw_masked(settings: Settings, subset: str, folder: Path, seed: int) -> Drawn:
    """As `draw`, for a subset of pictures without phrases."""
    config, result = settings.subset(subset), Drawn()
    for picture in masked.choose(config, seed):
        if len(result.sheets) == settings.keys.num_images_show:
            break
        try:
            sheet = masked.draw_sheet(config, picture, PANEL)
        except (AnnotationError, Incomplete) as error:
            result.skipped.append(f"{picture.name}: {error}; skipped")
            continue
        _write(result, folder, subset, picture.name, sheet)
    if not (result.sheets or result.skipped):
        raise Incomplete(
            "no picture is ready yet", item=subset, remedy=f"Run `saco prepare {subset}` first"
        )
    return result


def _write(result: Drawn, folder: Path, subset: str, name: str, sheet: Image.Image) -> None:
    number = len(result.sheets) + 1
    own = f"{subset}_{number:03d}_{_NOT_IN_NAMES.sub('_', name)[:40]}.png"
    path = folder / own.replace("/", "_")
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    files.write_if_changed(path, buffer.getvalue())
    result.sheets.append(path)


def _choose(chance: random.Random, content: Pairs, members: list[Pair], *, negative: bool) -> Pair:
    """A pair of a file, with or without masks as asked; any where none fits."""
    fitting = [pair for pair in members if bool(content.of(pair)) != negative]
    return chance.choice(fitting or members)


def _draw_sheet(
    subset: str, pair: Pair, picture: Image.Image, masks: list[Mask], damaged: int
) -> Image.Image:
    """Picture, masks alone and both together side by side; phrase and names below."""
    width, height = picture.size
    alone = Image.new("RGB", picture.size, (24, 26, 29))
    shapes = draw_layer(masks, picture).convert("RGBA")
    # Without the picture, masks are drawn solid.
    alone.paste(
        shapes.convert("RGB"), mask=shapes.getchannel("A").point(lambda alpha: 255 * (alpha > 0))
    )
    panels = (picture, alone, draw_masks(picture, masks))
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
    pen.text((GAP, height + 2 * GAP), _cut(pen, plain(pair.phrase), large, room), INK, large)
    below = f"{count}   {subset}   {plain(pair.file_name)}"
    pen.text((GAP, height + 2 * GAP + 36), _cut(pen, below, small, room), SOFT, small)
    return sheet


def _cut(
    pen: ImageDraw.ImageDraw,
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    room: int,
) -> str:
    """The text as far as it fits into `room` pixels, then an ellipsis."""
    if pen.textlength(text, font) <= room:
        return text
    while text and pen.textlength(f"{text}…", font) > room:
        text = text[:-1]
    return f"{text}…"
