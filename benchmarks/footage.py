"""Made footage for the benchmarks of fidelity: sources, and ways to encode them anew."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from PIL import Image, ImageEnhance

WIDTH, HEIGHT, FRAMES = 640, 360, 160
Frames = list[Image.Image]


@dataclass(frozen=True)
class Encoding:
    """How a copy is made of a source."""

    codec: str = "libx264"
    options: tuple[tuple[str, str], ...] = (("crf", "20"),)
    size: tuple[int, int] = (WIDTH, HEIGHT)
    bit_rate: int = 0
    change: Callable[[Image.Image], Image.Image] | None = None


def x264(crf: int) -> Encoding:
    """x264 at this quality."""
    return Encoding(options=(("crf", str(crf)),))


def _recolour(image: Image.Image) -> Image.Image:
    image = ImageEnhance.Contrast(image).enhance(0.9)
    return image.point([round(255 * (v / 255) ** 0.85) for v in range(256)] * 3)


def crop_edges(image: Image.Image, part: float = 0.04) -> Image.Image:
    """Without this part of width and height, at its old size."""
    w, h = image.size
    box = (w * part / 2, h * part / 2, w * (1 - part / 2), h * (1 - part / 2))
    return image.resize((w, h), Image.Resampling.BICUBIC, box)


def _letterbox(image: Image.Image) -> Image.Image:
    framed = Image.new("RGB", image.size)
    framed.paste(image.resize((image.width, round(image.height * 0.76))), (0, image.height // 8))
    return framed


LOCKED = x264(20)
SAME = {
    "x264 crf 32": x264(32),
    "x264 crf 40": x264(40),
    "half size": Encoding(size=(WIDTH // 2, HEIGHT // 2), options=(("crf", "26"),)),
    "HEVC": Encoding("libx265", (("crf", "28"), ("x265-params", "log-level=none"))),
    "VP9": Encoding("libvpx-vp9", (("deadline", "realtime"), ("cpu-used", "8")), bit_rate=250_000),
    "other colours": Encoding(options=(("crf", "24"),), change=_recolour),
}
OTHER = {
    "letterbox": Encoding(change=_letterbox),
    "mirrored": Encoding(change=lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
    "crop of 4 %": Encoding(change=crop_edges),
}


def photos(data: Path | None) -> list[Image.Image]:
    """Photographs of twice the size of a frame, or smooth random textures without any."""
    size = (2 * WIDTH, 2 * HEIGHT)
    found = []
    for path in sorted(data.glob("*.jpg")) if data else ():
        with Image.open(path) as image:
            found.append(image.convert("RGB").resize(size))
    return found or [texture(seed, size) for seed in range(3)]


def texture(seed: int, size: tuple[int, int]) -> Image.Image:
    """Random colours at several scales, as in natural pictures."""
    rng = np.random.default_rng(seed)
    total = np.zeros((size[1], size[0], 3), np.float32)
    for cells in (6, 16, 48, 160):
        dots = rng.integers(0, 256, (cells * 9 // 16 + 1, cells, 3), dtype=np.uint8)
        image = Image.fromarray(dots).resize(size, Image.Resampling.BICUBIC)
        total += np.asarray(image, np.float32) / cells**0.5
    low, high = total.min(), total.max()
    return Image.fromarray(((total - low) / (high - low) * 255).astype(np.uint8))


def sources(data: Path | None) -> Iterator[tuple[str, Frames]]:
    """Each source by name: 160 frames of 640 x 360."""
    pictures = photos(data)
    for at, speed in enumerate((0.3, 2.0, 6.0)):
        yield f"pan of {speed:g} px", pan(pictures[at % len(pictures)], speed)
    yield "zoom", [zoom(pictures[0], 1.003**n) for n in range(FRAMES)]
    yield "large thing", things(pictures, 110, 4.0)
    yield "small thing", things(pictures, 24, 3.0)
    yield "shaking hand", shake(pictures[-1])
    yield "cuts", list(itertools.chain(*(cut(pictures, n) for n in range(7))))[:FRAMES]
    yield "still", [pictures[0].resize((WIDTH, HEIGHT))] * FRAMES
    yield "still, noisy", noisy(pictures[1 % len(pictures)].resize((WIDTH, HEIGHT)))
    if data and (data / "bedroom.mp4").is_file():
        real = bedroom(data / "bedroom.mp4")
        yield "bedroom", real
        yield (
            "bedroom, 4 times slower",
            [Image.blend(real[n // 4], real[n // 4 + 1], n % 4 / 4) for n in range(FRAMES)],
        )


def bedroom(path: Path) -> Frames:
    """The first frames of a real video."""
    found: Frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            image = Image.fromarray(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
            found.append(image.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
            if len(found) == FRAMES:
                break
    return found


def pan(picture: Image.Image, speed: float) -> Frames:
    """A camera that moves to the right, back at the end of the picture."""
    room = picture.width - WIDTH
    places = [abs((n * speed + room) % (2 * room) - room) for n in range(FRAMES)]
    return [view(picture, x, 80) for x in places]


def view(picture: Image.Image, x: float, y: float) -> Image.Image:
    """A frame of a larger picture, at a place that need not be whole."""
    box = (x, y, x + WIDTH, y + HEIGHT)
    return picture.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, box)


def zoom(picture: Image.Image, factor: float) -> Image.Image:
    """The middle of a picture, enlarged."""
    w, h = picture.width / factor / 1.2, picture.height / factor / 1.2
    x, y = (picture.width - w) / 2, (picture.height - h) / 2
    return picture.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC, (x, y, x + w, y + h))


def things(pictures: Frames, side: int, speed: float) -> Frames:
    """A thing of `side` pixels that moves over a still picture."""
    ground = pictures[0].resize((WIDTH, HEIGHT))
    thing = pictures[-1].resize((side, side)).point(lambda v: 255 - v)
    frames = []
    for n in range(FRAMES):
        frame = ground.copy()
        room = WIDTH - side
        x = abs((n * speed + room) % (2 * room) - room)
        frame.paste(thing, (round(x), round((HEIGHT - side) * (0.5 + 0.4 * np.sin(n / 15)))))
        frames.append(frame)
    return frames


def shake(picture: Image.Image) -> Frames:
    """A hand that holds the camera: it wanders and returns."""
    rng = np.random.default_rng(4)
    steps = rng.normal(0, 1.6, (FRAMES, 2))
    place, frames = np.zeros(2), []
    for step in steps:
        place = 0.9 * place + step
        frames.append(view(picture, 300 + place[0], 150 + place[1]))
    return frames


def cut(pictures: Frames, number: int) -> Frames:
    """A scene of 23 frames; each has another picture, and moves in its own way."""
    picture = pictures[number % len(pictures)]
    return [view(picture, 40 * number + n * (1 + number % 3), 50) for n in range(23)]


def noisy(picture: Image.Image) -> Frames:
    """A still picture with the noise of a sensor."""
    rng = np.random.default_rng(5)
    pixels = np.asarray(picture, np.int16)
    return [
        Image.fromarray(np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8))
        for _ in range(FRAMES)
    ]


def encode(path: Path, frames: Frames, how: Encoding, rate: Fraction = Fraction(30)) -> Path:
    """Writes a video."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(how.codec, rate=rate, options=dict(how.options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *how.size, "yuv420p"
        if how.bit_rate:
            stream.bit_rate = how.bit_rate
        for image in frames:
            changed = how.change(image) if how.change else image
            if changed.size != how.size:
                changed = changed.resize(how.size, Image.Resampling.BICUBIC)
            picture = av.VideoFrame.from_ndarray(np.asarray(changed), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path
