"""How well `saco compare` tells frames apart, on made footage: python benchmarks/fidelity.py

Sources of 160 frames: pans, a zoom, moving things on a still picture, a shaking hand, cuts, still
scenes, and with --data FOLDER a real video (bedroom.mp4) and photographs (*.jpg). The locked copy
is x264 at crf 20, its products JPEG at quality 75. The other copies are encoded from the source
anew: by codec, quality, size, colours, rate, trimmed; and, as other pictures, cropped, in a
letterbox, mirrored, another source. Each floor of "it must hold" is printed beside what was
measured; the exit code is 1 where one is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from saco_data.media import luma
from saco_data.share import lock_file, matching
from saco_data.share.lock_file import Row
from saco_data.share.matching import Description, Judgement, Luma, Verdict

WIDTH, HEIGHT, FRAMES = 640, 360, 160
SHIFTS = (0, 1, -1, 2, -2, 3, -3, 5, -5, 10, -10)
Frames = list[Image.Image]
Descriptors = NDArray[np.uint8]


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


def _crop(image: Image.Image, part: float = 0.04) -> Image.Image:
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
    "crop of 4 %": Encoding(change=_crop),
}


def main() -> int:
    """Makes the footage, compares all pairs and prints the floors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder with bedroom.mp4 and *.jpg")
    data: Path | None = parser.parse_args().data
    floors: list[tuple[str, float, str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        copies = make_copies(Path(folder), dict(sources(data)))
        floors += frames_floors(copies)
        floors += rates_floors(copies)
        floors += picture_floors(data)
        floors += lock_floors(copies)
        floors += cost_floors(Path(folder), copies)
    print("\n| floor | measured | wanted | holds |\n|---|--:|--:|---|")
    failed = 0
    for name, value, sign, wanted in floors:
        holds = value >= wanted if sign == ">=" else value <= wanted
        failed += not holds
        print(f"| {name} | {value:.4f} | {sign} {wanted:g} | {'yes' if holds else '**NO**'} |")
    return int(failed > 0)


# --- footage ---------------------------------------------------------------------------------


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


# --- frames ----------------------------------------------------------------------------------


@dataclass
class Copies:
    """A source as descriptors, uint8 [frames, 576]: its locked products, and each other copy."""

    name: str
    locked: Descriptors
    same: dict[str, Descriptors] = field(default_factory=dict)
    other: dict[str, Descriptors] = field(default_factory=dict)
    rates: dict[str, Descriptors] = field(default_factory=dict)

    @property
    def is_still(self) -> bool:
        """Whether nothing moves in it, by construction."""
        return self.name.startswith("still")


def make_copies(folder: Path, footage: dict[str, Frames]) -> list[Copies]:
    """Encodes every source in every way and describes all frames."""
    made = []
    for name, frames in footage.items():
        start = time.process_time()
        locked = products(encode(folder / "locked.mp4", frames, LOCKED))
        copies = Copies(name, locked)
        for key, how in SAME.items():
            copies.same[key] = describe(encode(folder / "copy.mkv", frames, how))
        for key, how in OTHER.items():
            copies.other[key] = describe(encode(folder / "copy.mkv", frames, how))
        slower = [frames[min(round(n * 30 / 25), FRAMES - 1)] for n in range(FRAMES * 25 // 30)]
        copies.rates["30 -> 25"] = describe(encode(folder / "copy.mkv", slower, x264(26)))
        dropped = frames[:77] + frames[78:]
        copies.rates["one frame dropped"] = describe(encode(folder / "copy.mkv", dropped, x264(26)))
        copies.rates["trimmed by 3"] = describe(encode(folder / "copy.mkv", frames[3:], x264(26)))
        made.append(copies)
        print(f"{name}: {time.process_time() - start:.0f} CPU s", file=sys.stderr, flush=True)
    other = describe(encode(folder / "copy.mkv", pan(texture(99, (1280, 720)), 3), x264(26)))
    for copies in made:
        copies.other["another video"] = other
    return made


def products(video: Path) -> Descriptors:
    """The descriptors of all frames of the locked copy, saved as JPEG and opened again."""
    from saco_data.media.frames import Frame, extract
    from saco_data.media.images import encode_jpeg

    found = []
    path = video.with_suffix(".jpg")
    for frame in extract(video, range(FRAMES)):
        assert isinstance(frame, Frame)
        path.write_bytes(encode_jpeg(frame.rgb))
        found.append(luma.describe_file(path))
    return np.stack(found)


def describe(video: Path) -> Descriptors:
    """The descriptors of all frames of a video."""
    return np.stack([each for _, each in luma.describe_frames(video, range(FRAMES))])


def judge(locked: Luma, own: Descriptors, at: int) -> Judgement:
    """The verdict on a frame of a copy, as `saco compare` gives it."""
    reach = matching.REACH
    low, high = max(0, at - reach), min(len(own), at + reach + 1)
    return matching.judge_series(locked, {n - at: own[n] for n in range(low, high)})


@dataclass
class Tally:
    """Counts over pairs of a locked frame and a copy's frame."""

    of: int = 0
    hits: int = 0

    def add(self, hit: bool) -> None:
        """Counts one pair."""
        self.of += 1
        self.hits += hit

    @property
    def share(self) -> float:
        """Hits of all."""
        return self.hits / self.of if self.of else float("nan")


def frames_floors(made: list[Copies]) -> list[tuple[str, float, str, float]]:
    """Recall, false alarms, exactness of k, "same", still scenes, other pictures."""
    two, one, alarms, exact, same = (Tally() for _ in range(5))
    still_same, still_shifted, other, crop, wrong = (Tally() for _ in range(5))
    for copies in made:
        indices = range(12, FRAMES - 12, 7)
        here = Tally()
        for own, index, shift in itertools.product(copies.same.values(), indices, SHIFTS):
            # The copy's frame `index` is compared with a lock made of the frame `shift` later.
            found = judge(copies.locked[index + shift], own, index)
            is_shifted = found.verdict is Verdict.SHIFTED
            is_same = found.verdict is Verdict.RE_ENCODED
            wrong.add(found.verdict is Verdict.DIFFERENT)
            if copies.is_still:
                still_same.add(is_same)
                still_shifted.add(is_shifted)
                continue
            moves = difference(copies.locked, index + shift) >= 2
            if shift == 0:
                alarms.add(is_shifted)
            elif moves:
                (one if abs(shift) == 1 else two).add(is_shifted)
                here.add(is_shifted)
            if is_shifted and shift:
                exact.add(abs((found.shift or 0) - shift) <= 1)
            if is_same:
                same.add(abs(shift) <= 1)
        for key, own in copies.other.items():
            for index in indices:
                found = judge(copies.locked[index], own, index)
                is_other = found.verdict is Verdict.DIFFERENT
                (crop if key.startswith("crop") else other).add(is_other)
        print(f"{copies.name}: recall {here.share:.3f} of {here.of}")
    print(f"crop of 4 %: different {crop.share:.3f} of {crop.of}")
    print(f"re-encoded called different: {wrong.hits} of {wrong.of}; alarms of {alarms.of}")
    return [
        (f"shift of 2 and more found, of {two.of}", two.share, ">=", 0.95),
        (f"shift of one frame found, of {one.of}", one.share, ">=", 0.75),
        (f"false alarms, of {alarms.of}", alarms.share, "<=", 0.003),
        (f"k right within one, of {exact.of}", exact.share, ">=", 0.95),
        (f"'same' within one frame, of {same.of}", same.share, ">=", 0.995),
        (f"still scene called 'same', of {still_same.of}", still_same.share, "<=", 0),
        (f"still scene called shifted, of {still_shifted.of}", still_shifted.share, "<=", 0.005),
        (f"letterbox, mirror, other video 'different', of {other.of}", other.share, ">=", 0.99),
    ]


def difference(locked: Descriptors, at: int) -> float:
    """The rms difference of a frame and the one two frames later, in grey levels."""
    to = at + 2 if at + 2 < len(locked) else at - 2
    return float(np.sqrt(((locked[at].astype(float) - locked[to]) ** 2).mean()))


def rates_floors(made: list[Copies]) -> list[tuple[str, float, str, float]]:
    """Whole videos: a constant shift, and a shift that grows, are recognised."""
    line, constant, silent = Tally(), Tally(), Tally()
    for copies in made:
        if copies.is_still:
            continue
        indices = list(range(5, 125, 12))
        for key, own in copies.rates.items():
            wanted = [at for at in indices if at < len(own)]
            found = {at: judge(copies.locked[at], own, at) for at in wanted}
            sure = {at: each.shift for at, each in found.items() if each.shift is not None}
            fitted = matching.fit_line(list(sure), list(sure.values()))
            if key == "30 -> 25":
                line.add(fitted is not None and abs(fitted[1] + 1 / 6) < 0.03)
            elif key == "trimmed by 3":
                series = [
                    matching.measure_series(at, copies.locked[at], around(own, at)) for at in wanted
                ]
                together = matching.judge_video(series)
                constant.add(together is not None and together.shift == -3)
        series = [
            matching.measure_series(at, copies.locked[at], around(own, at))
            for own in copies.same.values()
            for at in indices[::3]
        ]
        together = matching.judge_video(series)
        silent.add(together is not None and together.verdict is Verdict.SHIFTED)
    print(f"30 -> 25 seen as a line: {line.hits} of {line.of} videos")
    print(f"trimmed by 3 seen as a shift of all frames: {constant.hits} of {constant.of} videos")
    return [("videos in place called shifted", silent.share, "<=", 0)]


def around(own: Descriptors, at: int) -> dict[int, Luma]:
    """A copy's frames near a frame, by distance."""
    low, high = max(0, at - matching.REACH), min(len(own), at + matching.REACH + 1)
    return {n - at: own[n] for n in range(low, high)}


# --- still pictures --------------------------------------------------------------------------


def picture_floors(data: Path | None) -> list[tuple[str, float, str, float]]:
    """Pictures encoded anew, and cropped."""
    pictures = [view(each, x, y) for each in photos(data) for x in (0, 320, 640) for y in (0, 360)]
    pictures += [texture(seed, (WIDTH, HEIGHT)) for seed in range(20, 60)]
    anew, crop, mirrored = Tally(), Tally(), Tally()
    for picture in pictures:
        original = luma.describe(opened(picture, 95))
        half, third = ((WIDTH // n, HEIGHT // n) for n in (2, 3))
        for image, quality in (
            (picture, 75),
            (picture, 30),
            (picture.resize(half), 75),
            (picture.resize(third), 60),
        ):
            found = matching.judge_picture(original, luma.describe(opened(image, quality)))
            anew.add(found.verdict is Verdict.DIFFERENT)
        found = matching.judge_picture(original, luma.describe(opened(_crop(picture), 90)))
        crop.add(found.verdict is not Verdict.RE_ENCODED)
        flipped = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        found = matching.judge_picture(original, luma.describe(opened(flipped, 90)))
        mirrored.add(found.verdict is Verdict.DIFFERENT)
    return [
        (f"still pictures encoded anew 'different', of {anew.of}", anew.share, "<=", 0),
        (f"still pictures cropped by 4 % not 're-encoded', of {crop.of}", crop.share, ">=", 0.95),
        (f"still pictures mirrored 'different', of {mirrored.of}", mirrored.share, ">=", 0.99),
    ]


def opened(picture: Image.Image, quality: int) -> Image.Image:
    """A picture saved as JPEG and opened again."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def lock_floors(made: list[Copies]) -> list[tuple[str, float, str, float]]:
    """Two locks without any video: what `saco intersect` goes by. Prints, and floors for "same"."""
    same, kept, still = Tally(), Tally(), Tally()
    for copies in made:
        for own, shift in itertools.product(copies.same.values(), SHIFTS):
            for index in range(12, FRAMES - 12, 7):
                one = describe_locked(copies.locked, index + shift)
                found = matching.judge_pair(one, describe_locked(own, index))
                if copies.is_still:
                    still.add(found.verdict is Verdict.RE_ENCODED)
                    continue
                if found.verdict is Verdict.RE_ENCODED:
                    same.add(abs(shift) <= 1)
                if shift == 0 and difference(copies.locked, index) >= 2:
                    kept.add(found.agrees)
    print(f"two locks: of frames in place that move, {kept.share:.3f} of {kept.of} are kept")
    return [
        (f"two locks: 'same' within one frame, of {same.of}", same.share, ">=", 0.99),
        (f"two locks: still scene called 'same', of {still.of}", still.share, "<=", 0),
    ]


def describe_locked(frames: Descriptors, at: int) -> Description:
    """What a lock says of a frame. The number stands for the digest, which differs here."""
    near = {n - at: frames[n] for n in range(max(0, at - 10), min(len(frames), at + 11))}
    return Description(
        f"{id(frames)}",
        frames[at],
        is_frame=True,
        still=matching.is_still(near),
        near=matching.measure_near(frames[at], near),
    )


def cost_floors(folder: Path, made: list[Copies]) -> list[tuple[str, float, str, float]]:
    """Bytes of a lock a product; milliseconds beside decoding."""
    rows = []
    for copies, at in itertools.product(made, range(FRAMES)):
        digest = hashlib.sha256(copies.locked[at].tobytes()).hexdigest()
        what = replace(describe_locked(copies.locked, at), sha256=digest)
        name = f"{copies.name}/{at:05d}.jpg"
        facts = {"sha256": hashlib.sha256(copies.name.encode()).hexdigest(), "frames": FRAMES}
        rows.append(Row("sav", name, 30_000 + at, what, 512 * at, copies.name, at, facts))
    path = folder / "lock.parquet"
    count = lock_file.write(path, {}, rows)
    a_product = path.stat().st_size / count
    picture = texture(1, (1280, 720))
    grey = picture.convert("L")
    start = time.process_time()
    for _ in range(100):
        luma.describe(grey)
    spent = (time.process_time() - start) * 10
    return [
        (f"bytes of a lock for each of {count} products", a_product, "<=", 600),
        ("ms of CPU beside decoding, one 720p frame", spent, "<=", 5),
    ]


if __name__ == "__main__":
    sys.exit(main())
