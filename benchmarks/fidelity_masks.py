"""How well masks alone tell that frames are shifted: python benchmarks/fidelity_masks.py

Each made video has one to three things that move over a picture, with masks that are bent by 1.5
pixels, and three annotated frames. Its masks are held against the frames where they belong and,
shifted by 2, 3 and 5, against others. In place also: a cut nearby, coarse polygons, a flash, and
masks that all lie off along the motion. The exit code is 1 where a floor is missed.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from fidelity import Tally, print_floors
from footage import HEIGHT, WIDTH, Frames, encode, photos, view, x264
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter
from scipy import ndimage

from saco_data.share import edges

FRAMES = 44
PRODUCTS = (12, 22, 32)
FAR = edges.REACH + 5  # a shift of 5, and 5 frames to each side of it
SHIFTS = (2, -2, 3, -3, 5, -5)
FIRST_SEED = 100  # the thresholds were chosen on the seeds before it
MOVING = 1.0  # pixels a frame of the fastest annotated contour
Mask = NDArray[np.bool_]
Planes = dict[int, NDArray[np.uint8]]


@dataclass(frozen=True)
class Thing:
    """Something that moves: its colours, outline (mode L), place at frame 0, pixels a frame."""

    colours: Image.Image
    outline: Image.Image
    start: NDArray[np.float64]
    speed: NDArray[np.float64]

    def place(self, frame: int) -> NDArray[np.float64]:
        """Left and top; it turns back at the border."""
        room = np.array([WIDTH, HEIGHT]) - self.outline.size
        return np.asarray(abs((self.start + frame * self.speed + room) % (2 * room) - room))


@dataclass(frozen=True)
class Measured:
    """A product's contour, and what the frames around it say of it, by distance."""

    contour: edges.Contour
    looks: dict[int, edges.Look]

    def shifted(self, shift: int) -> edges.Fit:
        """What is measured where the frame `shift` earlier stands in its place."""
        found = edges.join(self.contour, {k: self.looks[k - shift] for k in edges.SHIFTS})
        assert found is not None
        return found


@dataclass(frozen=True)
class Scene:
    """A made video: its frames, what is annotated in it, and how fast that moves at most."""

    frames: Frames
    things: list[Thing]
    annotated: list[Thing]
    fastest: float
    direction: NDArray[np.float64]

    def masks(self, frame: int) -> list[Mask]:
        """The exact masks of a frame: what later things hide belongs to no mask."""
        found = []
        for at, thing in enumerate(self.things):
            mask = _mask_of(thing, frame)
            for other in self.things[at + 1 :]:
                mask &= ~_mask_of(other, frame)
            if any(thing is each for each in self.annotated):
                found.append(mask)
        return found


def main() -> int:
    """Makes the videos, holds the masks against them and prints the floors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder with photographs (*.jpg)")
    parser.add_argument("--videos", type=int, default=120)
    given = parser.parse_args()
    pictures = photos(given.data)
    moving, slow, near = Tally(), Tally(), Tally()
    in_place: dict[str, Tally] = {}
    spent = products = 0.0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        for seed in range(given.videos):
            rng = np.random.default_rng(FIRST_SEED + seed)
            scene = make_scene(rng, pictures)
            planes = decode(encode(path, scene.frames, x264(int(rng.integers(23, 34)))))
            masks = {at: [bend(each, rng, 1.5) for each in scene.masks(at)] for at in PRODUCTS}
            start = time.process_time()
            own = measure(masks, planes)
            spent += time.process_time() - start
            products += len(PRODUCTS)
            for shift in SHIFTS:
                # The frame `at - shift` stands where `at` should: `shift` later fits best.
                found = edges.judge([each.shifted(shift) for each in own])
                tally = moving if scene.fastest >= MOVING else slow
                tally.add(found is not None)
                if found is not None:
                    near.add(abs(found - shift) <= 1)
            for name, others, video in variants(masks, planes, scene, rng):
                found = edges.judge(
                    [each.shifted(0) for each in measure(others, video, edges.REACH)]
                )
                in_place.setdefault(name, Tally()).add(found is not None)
    print(f"{1000 * spent / products:.0f} ms of CPU for each product beside decoding")
    print(f"slower than {MOVING:g} px a frame: recall {slow.share:.3f} of {slow.of}")
    for name in ("moved by 2 px", "moved by 4 px"):
        tally = in_place.pop(name)
        print(f"in place, all masks {name} along the motion: {tally.hits} of {tally.of} flagged")
    floors = [
        (f"shifts of 2 and more found where it moves, of {moving.of}", moving.share, ">=", 0.9),
        (f"k right within one frame, of {near.of}", near.share, ">=", 0.97),
        *(
            (f"in place, {name}: flagged, {each.hits} of {each.of}", each.share, "<=", 0.01)
            for name, each in in_place.items()
        ),
    ]
    return print_floors(floors)


def measure(masks: dict[int, list[Mask]], planes: Planes, reach: int = FAR) -> list[Measured]:
    """Each product against the frames up to `reach` away."""
    found = []
    for at, own in masks.items():
        contour = edges.find_contour(own)
        around = range(-reach, reach + 1)
        looks = {k: edges.look(contour, planes[at + k]) for k in around}
        found.append(Measured(contour, looks))
    return found


def make_scene(rng: np.random.Generator, pictures: Frames) -> Scene:
    """A video of a picture with one to three things, the camera still or panning."""
    ground = pictures[int(rng.integers(len(pictures)))]
    pan = rng.uniform(-3, 3) if rng.random() < 0.4 else 0.0
    things = [_make_thing(rng, pictures, at) for at in range(int(rng.integers(1, 4)))]
    if len(things) > 1 and rng.random() < 0.25:
        things[0] = Thing(things[0].colours, things[0].outline, things[0].start, np.zeros(2))
        annotated = things[:1]
    else:
        annotated = things
    sharp = rng.uniform(0.2, 1.4) if rng.random() < 0.4 else 0.0
    bright, noise = rng.uniform(-0.08, 0.08), rng.uniform(1, 4)
    contrast = rng.uniform(0.35, 1.0)
    frames = []
    for n in range(FRAMES):
        frame = view(ground, 320 + pan * (n - FRAMES / 2), 180)
        for thing in things:
            x, y = (round(each) for each in thing.place(n))
            colours = Image.blend(
                frame.crop((x, y, x + thing.outline.width, y + thing.outline.height)),
                thing.colours,
                contrast,
            )
            frame.paste(colours, (x, y), thing.outline.filter(ImageFilter.GaussianBlur(0.8)))
        if sharp:
            frame = frame.filter(ImageFilter.GaussianBlur(float(sharp * (1 + np.sin(n / 4)))))
        pixels = np.asarray(frame, np.float32) * (1 + bright * np.sin(n / 7))
        pixels += rng.normal(0, noise, pixels.shape[:2])[:, :, None]
        frames.append(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)))
    fastest = max(annotated, key=lambda each: float(np.hypot(*each.speed)))
    speed = float(np.hypot(*fastest.speed))
    return Scene(frames, things, annotated, speed, fastest.speed / max(speed, 1e-9))


def _make_thing(rng: np.random.Generator, pictures: Frames, at: int) -> Thing:
    side = int(rng.integers(50, 190))
    other = pictures[int(rng.integers(len(pictures)))]
    left, top = (int(rng.integers(0, room - side)) for room in other.size)
    colours = other.crop((left, top, left + side, top + side))
    if at % 2:
        colours = colours.point(lambda value: 255 - value)
    angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    radius = np.full(angle.size, 0.36)
    for n in (2, 3, 5):
        radius += rng.uniform(0, 0.1 / n) * np.sin(n * angle + rng.uniform(0, 6))
    points = [
        (side * (0.5 + r * np.cos(a)), side * (0.5 + r * np.sin(a)))
        for r, a in zip(radius, angle, strict=True)
    ]
    outline = Image.new("L", (side, side))
    ImageDraw.Draw(outline).polygon(points, fill=255)
    speed, heading = np.exp(rng.uniform(np.log(0.2), np.log(8))), rng.uniform(0, 2 * np.pi)
    start = rng.uniform(0, 1, 2) * (WIDTH - side, HEIGHT - side)
    return Thing(colours, outline, start, speed * np.array([np.cos(heading), np.sin(heading)]))


def _mask_of(thing: Thing, frame: int) -> Mask:
    canvas = Image.new("L", (WIDTH, HEIGHT))
    canvas.paste(thing.outline, tuple(round(each) for each in thing.place(frame)))
    return np.asarray(canvas) > 127


def _smooth_noise(rng: np.random.Generator) -> NDArray[np.float32]:
    coarse = Image.fromarray(rng.normal(size=(HEIGHT // 30, WIDTH // 30)).astype(np.float32))
    return np.asarray(coarse.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))


def bend(mask: Mask, rng: np.random.Generator, rms: float) -> Mask:
    """A mask whose contour is off by so many pixels, slowly changing along it."""
    off = np.stack([_smooth_noise(rng) for _ in range(2)])
    off *= rms / off.std()
    at = np.indices(mask.shape) + off
    return np.asarray(ndimage.map_coordinates(mask.astype(np.float32), at, order=1) > 0.5)


def variants(
    masks: dict[int, list[Mask]],
    planes: Planes,
    scene: Scene,
    rng: np.random.Generator,
) -> list[tuple[str, dict[int, list[Mask]], Planes]]:
    """Masks and videos that belong together, in harder and harder ways."""
    dx, dy = scene.direction
    found = [("plain", masks, planes)]
    coarse = {at: [_as_polygon(each) for each in own] for at, own in masks.items()}
    found.append(("coarse polygons", coarse, planes))
    cuts = dict(planes)
    after = int(rng.integers(2, 6))
    for at in PRODUCTS:  # each product is followed by another scene
        for n in range(at + after, at + 6):
            cuts[n] = planes[n][:, ::-1, ::-1]
    found.append(("cut 2 to 5 frames later", masks, cuts))
    flash = dict(planes)
    for at in PRODUCTS:
        for n in range(at + 2, at + 5):
            flash[n] = np.clip(planes[n].astype(np.int16) * 5 // 4, 0, 255).astype(np.uint8)
            flash[n][1:] = planes[n][1:]
    found.append(("flash", masks, flash))
    for far in (2, 4):
        moved = {
            at: [np.asarray(ndimage.shift(each, (far * dy, far * dx), order=0)) for each in own]
            for at, own in masks.items()
        }
        found.append((f"moved by {far} px", moved, planes))
    return found


def _as_polygon(mask: Mask) -> Mask:
    """A mask as a polygon of 14 corners around its middle."""
    ys, xs = np.nonzero(mask)
    if not xs.size:
        return mask
    y, x = ys.mean(), xs.mean()
    angle = np.arctan2(ys - y, xs - x)
    far = np.hypot(ys - y, xs - x)
    corners = []
    for low in np.linspace(-np.pi, np.pi, 14, endpoint=False):
        near = np.abs(angle - low) < 0.12
        if near.any():
            r = far[near].max()
            corners.append((x + r * np.cos(low), y + r * np.sin(low)))
    canvas = Image.new("L", (mask.shape[1], mask.shape[0]))
    ImageDraw.Draw(canvas).polygon(corners, fill=255)
    return np.asarray(canvas) > 127


def decode(video: Path) -> Planes:
    """All frames as uint8 [3, height, width], brightness and colours."""
    with av.open(str(video)) as container:
        return {
            n: frame.reformat(format="yuv444p").to_ndarray().astype(np.uint8, copy=False)
            for n, frame in enumerate(container.decode(video=0))
        }


if __name__ == "__main__":
    sys.exit(main())
