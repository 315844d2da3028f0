"""Masklets drawn over time: frames of a video side by side, each object in one colour throughout.

For subsets of videos: sheets for `saco preview`, cards for the page of `saco report`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from saco_data.config.subset import SubsetConfig
from saco_data.dataset.dataset import Dataset, files_of
from saco_data.dataset.drawing import draw_layer
from saco_data.dataset.train_videos import TrainVideo
from saco_data.dataset.videos import Video
from saco_data.media.frames import Frame, FrameError, extract
from saco_data.model.errors import AnnotationError, Incomplete
from saco_data.model.outside import printable

COLUMNS = 5  # frames of a video that are shown
GAP = 4
PAPER, INK, SOFT = (250, 249, 246), (30, 33, 36), (92, 96, 102)


class NoFrames(ValueError):
    """A video that cannot be drawn; says why."""


@dataclass(frozen=True)
class Strip:
    """Frames of a video side by side, RGB, and the layer of their masks, RGBA.

    `frames`: their numbers. `objects`: how many the video has.
    """

    picture: Image.Image
    layer: Image.Image
    frames: list[int]
    objects: int

    def together(self) -> Image.Image:
        """The frames with their masks drawn on them."""
        under = self.picture.convert("RGBA")
        return Image.alpha_composite(under, self.layer).convert("RGB")


def videos_of(config: SubsetConfig) -> list[Video | TrainVideo]:
    """The videos of a prepared subset; empty where nothing is there."""
    if config.manifest.shard_files is not None:
        return []
    files = files_of(config.manifest, config.derived, config.images)
    if not files.annotations.is_dir():
        return []
    found = Dataset({config.id: files})[config.id]
    return [each for each in found if isinstance(each, Video | TrainVideo)]


def choose(videos: Sequence[Video | TrainVideo], seed: int | str) -> list[Video | TrainVideo]:
    """The videos in an order that depends on the seed alone."""
    order = list(videos)
    random.Random(seed).shuffle(order)  # noqa: S311
    return order


def spread(frames: Sequence[int], most: int) -> list[int]:
    """At most so many of the frames, from the first to the last."""
    count = min(most, len(frames))
    last = max(1, count - 1)
    return [frames[at * (len(frames) - 1) // last] for at in range(count)]


def name_of(video: Video | TrainVideo) -> str:
    """The name of a video, and which of its annotation files is meant."""
    return f"{video.name}_{video.kind}" if isinstance(video, TrainVideo) else video.name


def draw_strip(video: Video | TrainVideo, width: int) -> Strip:
    """Some annotated frames from the first to the last, each so many pixels wide. Raises NoFrames.

    An object has the colour of its place among the objects of its video; large masks are drawn
    first, so that small ones stay visible.
    """
    try:
        numbers = spread(video.annotated, COLUMNS)
        if not numbers:
            raise NoFrames("has no annotated frame")
        pictures = {number: _open(video, number) for number in numbers}
        first = pictures[numbers[0]]
        size = (width, max(1, round(width * first.height / first.width)))
        whole = (len(numbers) * (width + GAP) - GAP, size[1])
        picture, layer = Image.new("RGB", whole, PAPER), Image.new("RGBA", whole)
        colours = {name: at for at, name in enumerate(video.objects)}
        for at, number in enumerate(numbers):
            small = pictures[number].resize(size)
            masks = video.masks(number)
            order = sorted(masks, key=lambda name: -int(masks[name].sum()))
            drawn = draw_layer(
                [masks[name] for name in order], small, [colours[name] for name in order]
            )
            picture.paste(small, (at * (width + GAP), 0))
            layer.paste(drawn.convert("RGBA"), (at * (width + GAP), 0))
    except (AnnotationError, Incomplete, FrameError, OSError) as error:
        raise NoFrames(str(error)) from error
    return Strip(picture, layer, numbers, len(colours))


def draw_sheet(config: SubsetConfig, video: Video | TrainVideo, width: int) -> Image.Image:
    """A strip with the video, its objects and the numbers of the frames. Raises NoFrames."""
    strip = draw_strip(video, width)
    drawn = strip.together()
    sheet = Image.new("RGB", (drawn.width + 32, drawn.height + 100), PAPER)
    sheet.paste(drawn, (16, 16))
    pen = ImageDraw.Draw(sheet)
    small = ImageFont.load_default(15)
    for at, number in enumerate(strip.frames):
        pen.text((16 + at * (width + GAP), drawn.height + 20), f"frame {number}", SOFT, small)
    name = printable(name_of(video))
    objects = f"{strip.objects} {'object' if strip.objects == 1 else 'objects'}"
    words = f"{config.id}   {name}   {objects}"
    pen.text((16, drawn.height + 52), words, INK, ImageFont.load_default(24))
    return sheet


def _open(video: Video | TrainVideo, number: int) -> Image.Image:
    """A frame as a picture, decoded from the whole video where there are no pictures."""
    try:
        return video.image(number)
    except KeyError:
        if not isinstance(video, TrainVideo) or not video.video.is_file():
            raise NoFrames(f"frame {number} is not there") from None
    for got in extract(video.video, [number]):
        if isinstance(got, Frame):
            return Image.fromarray(got.rgb)
    raise NoFrames(f"{video.video.name} has no frame {number}")
