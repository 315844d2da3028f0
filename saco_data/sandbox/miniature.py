"""Builds a miniature Silver: annotation files, and the raw media as each source holds them.

Deterministic by seed. In every subset one file (or video) is missing from the raw media, as in
real life; with `broken`, another one is damaged. One video is larger than its annotated frames.
"""

from __future__ import annotations

import io
import json
import random
import tarfile
import uuid
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from saco_data.catalog.manifest import FRAME_SUBSETS, SUBSETS, load
from saco_data.sandbox.annotation_writer import Entry, document
from saco_data.sandbox.scene import HEIGHT, WIDTH, Scene, scene
from saco_data.storage import files

FILES = 6
VIDEOS = 4
FRAMES = 30


@dataclass
class Subset:
    """One miniature subset. `raw`: bytes of each raw file by its name at the source."""

    name: str
    entries: list[Entry]
    raw: dict[str, bytes]
    missing: list[str]
    # Raw name of each asset: what a source's server needs to know.
    raw_name: dict[str, str] = field(default_factory=dict)


@dataclass
class World:
    """All that was built. `annotations` is the folder of annotation files."""

    root: Path
    subsets: dict[str, Subset]

    @property
    def annotations(self) -> Path:
        """The annotation files as downloaded."""
        return self.root / "annotations"


def build(
    root: Path, subsets: Iterable[str] = SUBSETS, *, seed: int = 0, broken: bool = False
) -> World:
    """Draws the subsets and writes their annotation files below `root`."""
    made = {name: _subset(name, random.Random(f"{seed} {name}"), broken) for name in subsets}  # noqa: S311
    world = World(root, made)
    world.annotations.mkdir(parents=True, exist_ok=True)
    for name, subset in made.items():
        path = world.annotations / load(name).annotations.file
        files.write_if_changed(path, json.dumps(document(name, subset.entries)).encode())
    return world


def _subset(name: str, random_: random.Random, broken: bool) -> Subset:
    made = _videos(name, random_) if name in FRAME_SUBSETS else _images(name, random_)
    keys = list(made.raw)
    made.missing = [keys[-1]]
    del made.raw[keys[-1]]
    if broken:
        made.raw[keys[0]] = _damaged(made.raw[keys[0]])
    return made


def _images(name: str, random_: random.Random) -> Subset:
    made = Subset(name, [], {}, [])
    for number in range(FILES):
        file_name, raw_name = NAMES[name](random_, number)
        drawn = scene(random_, 160, 120)
        made.entries.append(Entry(file_name, drawn, (160, 120)))
        made.raw[raw_name] = jpeg(drawn)
        made.raw_name[file_name] = raw_name
    return made


def _videos(name: str, random_: random.Random) -> Subset:
    made = Subset(name, [], {}, [])
    for number in range(VIDEOS):
        video, raw_name = NAMES[name](random_, number)
        drawn = scene(random_, WIDTH, HEIGHT, numbered=True, frames=FRAMES)
        # One video is larger than the frames that were annotated.
        size = (WIDTH // 2, HEIGHT // 2) if number == 1 else (WIDTH, HEIGHT)
        stem = video.removesuffix(".mp4")
        for time in sorted(random_.sample(range(FRAMES), 3)):
            file_name = f"{stem}/{time:05d}.jpg"
            made.entries.append(Entry(file_name, drawn, size, time, video))
        made.raw[raw_name] = mp4(drawn, FRAMES, fps=6 if name == "sav" else 30)
        made.raw_name[video] = raw_name
    return made


def jpeg(drawn: Scene) -> bytes:
    """The scene as a JPEG."""
    buffer = io.BytesIO()
    drawn.picture().save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def mp4(drawn: Scene, frames: int, *, fps: int) -> bytes:
    """The scene as an h264 video with B-frames, the same bytes at every call."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        # x264's macroblock tree and picture edges read memory that differs from run to run.
        options = {"preset": "veryfast", "crf": "18", "g": "12", "bf": "2", "threads": "1"}
        options["x264-params"] = "mbtree=0:rc-lookahead=0:sync-lookahead=0"
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height, stream.pix_fmt = drawn.width, drawn.height, "yuv420p"
        for time in range(frames):
            pixels = np.asarray(drawn.picture(time))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return buffer.getvalue()


def _damaged(content: bytes) -> bytes:
    """The first part of a file with its end marker glued on, as a careless copy leaves it."""
    return content[: len(content) * 2 // 3] + b"\xff\xd9"


def _uuid(random_: random.Random) -> str:
    return str(uuid.UUID(int=random_.getrandbits(128), version=4))


def _youtube_id(random_: random.Random) -> str:
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
    return "".join(random_.choices(alphabet, k=10)) + random_.choice("AEIMQUYcgkosw048")


def _geode(random_: random.Random, number: int) -> tuple[str, str]:
    path = f"Africa/Egypt/bag/{number:04d}.jpg"
    return path.replace("/", "_"), f"images/{path}"


def _bdd100k(random_: random.Random, number: int) -> tuple[str, str]:
    name = f"{random_.getrandbits(32):08x}-{random_.getrandbits(32):08x}.jpg"
    return name, f"bdd100k/images/100k/train/{name}"


def _food_rec(random_: random.Random, number: int) -> tuple[str, str]:
    name = f"{6316 + number:06d}.jpg"
    return f"public_validation_set_2.0_{name}", f"public_validation_set_2.0/images/{name}"


def _nga(random_: random.Random, number: int) -> tuple[str, str]:
    name = f"{_uuid(random_)}.jpg"
    return name, name


def _inaturalist(random_: random.Random, number: int) -> tuple[str, str]:
    member = f"Aves/Parus major/{random_.getrandbits(128):032x}.jpg"
    return f"{100000 + number}.jpg", f"train_val_images/{member}"


def _droid(random_: random.Random, number: int) -> tuple[str, str]:
    # Both styles of time, a double underscore, and a stereo camera occur in the real names.
    time = "Fri_Jul__7_18:50:36_2023" if number % 2 else "Fri_Jul_14_15_09_09_2023"
    camera = f"{22008760 + number}" + ("-stereo" if number == 2 else "")
    video = f"AUTOLab_success_2023-07-07_{time}_recordings_MP4_{camera}.mp4"
    return video, f"AUTOLab/success/2023-07-07/{time}/recordings/MP4/{camera}.mp4"


def _sav(random_: random.Random, number: int) -> tuple[str, str]:
    return f"sav_{number + 1:06d}.mp4", f"videos_fps_6/sav_{number + 1:06d}.mp4"


def _ego4d(random_: random.Random, number: int) -> tuple[str, str]:
    video = f"{_uuid(random_)}.mp4"
    return video, video


def _yt1b(random_: random.Random, number: int) -> tuple[str, str]:
    video = _youtube_id(random_)
    return video, video


# (name in the annotation, name at the source) of the n-th file or video.
NAMES: dict[str, Callable[[random.Random, int], tuple[str, str]]] = {
    "geode": _geode,
    "bdd100k": _bdd100k,
    "food_rec": _food_rec,
    "nga": _nga,
    "inaturalist": _inaturalist,
    "fathomnet": _nga,
    "droid": _droid,
    "sav": _sav,
    "ego4d": _ego4d,
    "yt1b": _yt1b,
}


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip with the same bytes at every call."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def tarred(members: dict[str, bytes]) -> bytes:
    """A tar with the same bytes at every call."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()
