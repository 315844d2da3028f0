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
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from footage import (
    FRAMES,
    HEIGHT,
    LOCKED,
    OTHER,
    SAME,
    WIDTH,
    Frames,
    crop_edges,
    encode,
    pan,
    photos,
    sources,
    texture,
    view,
    x264,
)
from numpy.typing import NDArray
from PIL import Image

from saco_data.media import luma
from saco_data.share import lock_file, matching
from saco_data.share.lock_file import Row
from saco_data.share.matching import Description, Judgement, Luma, Verdict

SHIFTS = (0, 1, -1, 2, -2, 3, -3, 5, -5, 10, -10)
Descriptors = NDArray[np.uint8]
Floor = tuple[str, float, str, float]


def main() -> int:
    """Makes the footage, compares all pairs and prints the floors."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="a folder with bedroom.mp4 and *.jpg")
    data: Path | None = parser.parse_args().data
    floors: list[Floor] = []
    with tempfile.TemporaryDirectory() as folder:
        copies = make_copies(Path(folder), dict(sources(data)))
        floors += frames_floors(copies)
        floors += rates_floors(copies)
        floors += picture_floors(data)
        floors += lock_floors(copies)
        floors += cost_floors(Path(folder), copies)
    return print_floors(floors)


def print_floors(floors: Iterable[Floor]) -> int:
    """Prints (name, measured, sign, wanted) as a table; returns 1 where one is missed, else 0."""
    print("\n| floor | measured | wanted | holds |\n|---|--:|--:|---|")
    failed = 0
    for name, value, sign, wanted in floors:
        holds = value >= wanted if sign == ">=" else value <= wanted
        failed += not holds
        print(f"| {name} | {value:.4f} | {sign} {wanted:g} | {'yes' if holds else '**NO**'} |")
    return int(failed > 0)


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
    return matching.judge_series(locked, around(own, at))


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


def frames_floors(made: list[Copies]) -> list[Floor]:
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


def rates_floors(made: list[Copies]) -> list[Floor]:
    """Whole videos: a constant shift, and a shift that grows, are recognised."""
    line, constant, silent = Tally(), Tally(), Tally()
    for copies in made:
        if copies.is_still:
            continue
        indices = list(range(5, 125, 12))
        for key, own in copies.rates.items():
            wanted = [at for at in indices if at < len(own)]
            if key == "30 -> 25":
                found = {at: judge(copies.locked[at], own, at) for at in wanted}
                sure = {at: each.shift for at, each in found.items() if each.shift is not None}
                fitted = matching.fit_line(list(sure), list(sure.values()))
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


def picture_floors(data: Path | None) -> list[Floor]:
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
        found = matching.judge_picture(original, luma.describe(opened(crop_edges(picture), 90)))
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


def lock_floors(made: list[Copies]) -> list[Floor]:
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


def cost_floors(folder: Path, made: list[Copies]) -> list[Floor]:
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
