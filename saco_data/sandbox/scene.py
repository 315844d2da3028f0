"""Small pictures with known contents: coloured shapes, their phrases and their exact masks.

Frames of a video also show their number as black and white cells along the top edge, which can be
read after any amount of compression.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (31, 119, 180),
    "yellow": (240, 200, 20),
}
KINDS = ("disc", "box", "triangle")
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

    def draw(self, on: Image.Image, fill: Any, time: int) -> None:
        """Draws it where it is at frame `time`."""
        x, y, r = self.x + self.drift[0] * time, self.y + self.drift[1] * time, self.radius
        draw = ImageDraw.Draw(on)
        if self.kind == "disc":
            draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)
        elif self.kind == "box":
            draw.rectangle((x - r, y - r, x + r, y + r), fill=fill)
        else:
            draw.polygon([(x, y - r), (x + r, y + r), (x - r, y + r)], fill=fill)


@dataclass(frozen=True)
class Scene:
    """A picture, or one frame of a video where `numbered`. Sizes in pixels."""

    width: int
    height: int
    shapes: tuple[Shape, ...]
    numbered: bool = False

    def picture(self, time: int = 0) -> Image.Image:
        """The picture at frame `time`, RGB."""
        across = np.linspace(90, 200, self.width, dtype=np.float32)
        down = np.linspace(0, 40, self.height, dtype=np.float32)
        shade = (across[None, :] + down[:, None]).astype(np.uint8)
        image = Image.fromarray(np.stack([shade, shade, 255 - shade], axis=2))
        for shape in self.shapes:
            shape.draw(image, COLOURS[shape.colour], time)
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
            layer = Image.new("L", (self.width, self.height))
            shape.draw(layer, 1, time)
            mask = np.asarray(layer) & ~taken & 1
            taken |= mask
            found.append((shape, mask))
        yield from reversed(found)

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
        radius = random_.uniform(0.12, 0.2) * height
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
