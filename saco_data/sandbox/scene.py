"""Small pictures with known contents: coloured things, their phrases and their exact masks.

Frames of a video also show their number as black and white cells along the top edge, which can be
read after any amount of compression.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from saco_data.sandbox.painting import cast_shadow, fill, paint_room

COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (31, 119, 180),
    "yellow": (232, 190, 48),
}
KINDS = ("ball", "mug", "fish")
# The outline of a fish that swims to the left, in radii from its centre.
FISH = (
    (-1.0, 0.05), (-0.8, -0.22), (-0.5, -0.42), (-0.25, -0.5), (-0.1, -0.82), (0.22, -0.5),
    (0.42, -0.3), (0.6, -0.12), (1.0, -0.6), (0.86, 0.0), (1.0, 0.62), (0.6, 0.18), (0.3, 0.4),
    (0.1, 0.5), (0.0, 0.76), (-0.22, 0.55), (-0.55, 0.45), (-0.85, 0.25),
)  # fmt: skip
CODE_BITS = 10
CELL = 8


@dataclass(frozen=True)
class Shape:
    """A shape: colour and kind make its phrase; centre, radius and drift (a frame) in pixels."""

    colour: str
    kind: str
    x: float
    y: float
    radius: float
    drift: tuple[float, float]

    @property
    def phrase(self) -> str:
        """The noun phrase that names it."""
        return f"the {self.colour} {self.kind}"

    def centre(self, time: int) -> tuple[float, float]:
        """Where its centre is at frame `time`: x, y in pixels."""
        return self.x + self.drift[0] * time, self.y + self.drift[1] * time

    def draw(self, on: Image.Image, value: int, time: int) -> None:
        """Draws it where it is at frame `time`."""
        (x, y), r = self.centre(time), self.radius
        draw = ImageDraw.Draw(on)
        if self.kind == "ball":
            draw.ellipse((x - r, y - r, x + r, y + r), fill=value)
        elif self.kind == "mug":
            draw.rounded_rectangle((x - r, y - r, x + 0.45 * r, y + r), 0.25 * r, fill=value)
            # The handle, with a hole that belongs to what is behind.
            ring = (x, y - 0.6 * r, x + r, y + 0.5 * r)
            draw.arc(ring, -100, 100, fill=value, width=max(1, round(0.3 * r)))
        else:
            draw.polygon([(x + r * u, y + r * v) for u, v in FISH], fill=value)


@dataclass(frozen=True)
class Scene:
    """A picture, or one frame of a video where `numbered`. Sizes in pixels."""

    width: int
    height: int
    shapes: tuple[Shape, ...]
    numbered: bool = False

    def picture(self, time: int = 0) -> Image.Image:
        """The picture at frame `time`, RGB."""
        room = paint_room(self.width, self.height, self._seed).copy()
        for shape in self.shapes:
            cast_shadow(room, self._layer(shape, time), shape.radius)
        # What is visible of a thing has its colour, also where it is in a shadow.
        for shape, mask in self.masks(time):
            fill(room, mask, COLOURS[shape.colour], shape.centre(time), shape.radius)
        image = Image.fromarray(room.clip(0, 255).astype(np.uint8))
        if self.numbered:
            draw = ImageDraw.Draw(image)
            for bit in range(CODE_BITS):
                value = 255 if time >> bit & 1 else 0
                left = bit * CELL
                draw.rectangle((left, 0, left + CELL - 1, CELL - 1), fill=(value,) * 3)
        return image

    def masks(self, time: int = 0) -> Iterator[tuple[Shape, Any]]:
        """Each shape with its visible mask, uint8 [height, width], later shapes in front."""
        taken = np.zeros((self.height, self.width), np.uint8)
        found = []
        for shape in reversed(self.shapes):
            mask = self._layer(shape, time) & ~taken & 1
            taken |= mask
            found.append((shape, mask))
        yield from reversed(found)

    def _layer(self, shape: Shape, time: int) -> Any:
        """All that a shape covers, uint8 [height, width], also what others hide."""
        layer = Image.new("L", (self.width, self.height))
        shape.draw(layer, 1, time)
        return np.asarray(layer)

    @property
    def _seed(self) -> int:
        """A number that differs from scene to scene."""
        return zlib.crc32(repr(self.shapes).encode())

    def phrases(self) -> Iterator[tuple[str, bool]]:
        """Each phrase to ask about with whether the picture shows it; two are negatives."""
        here = {shape.phrase for shape in self.shapes}
        absent = [
            f"the {colour} {kind}"
            for colour in COLOURS
            for kind in KINDS
            if f"the {colour} {kind}" not in here
        ]
        yield from ((phrase, True) for phrase in sorted(here))
        yield from ((phrase, False) for phrase in absent[:2])


def draw_scene(
    random_: random.Random, width: int, height: int, *, numbered: bool = False, frames: int = 1
) -> Scene:
    """A scene with two or three shapes that stay inside it for `frames` frames."""
    shapes = []
    for _ in range(random_.randint(2, 3)):
        radius = random_.uniform(0.15, 0.23) * height
        top = radius + (CELL + 2 if numbered else 2)
        x, to_x = (random_.uniform(radius, width - radius) for _ in range(2))
        y, to_y = (random_.uniform(top, height - radius) for _ in range(2))
        drift = ((to_x - x) / max(frames, 1), (to_y - y) / max(frames, 1))
        shapes.append(
            Shape(random_.choice(list(COLOURS)), random_.choice(KINDS), x, y, radius, drift)
        )
    return Scene(width, height, tuple(shapes), numbered)


def read_number(picture: Image.Image) -> int:
    """Reads the frame number back from a picture of any size that shows a numbered scene."""
    grey = picture.convert("L")
    scale = grey.width / WIDTH
    number = 0
    for bit in range(CODE_BITS):
        x, y = (bit + 0.5) * CELL * scale, CELL / 2 * scale
        value = grey.getpixel((int(x), int(y)))
        assert isinstance(value, int | float)
        number |= (value > 127) << bit
    return number


# The size of the sandbox's videos.
WIDTH, HEIGHT = 192, 112
