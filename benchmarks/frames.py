"""Exact frames against the official way, interleaved in one run.

    python benchmarks/frames.py [--rounds 5] [--codec h264]

The official way: OpenCV opens the video and seeks once for each frame, Pillow saves it, a pool of
processes shares the frames. Ours: one pass a video. The limit: a loop that seeks to the key frame,
leaves out the pictures that no other one needs and saves what it was told to, without any check;
it knows that this video has a constant rate. All run in fresh pools of two workers, on at least six
jobs for a video of 60 s (720p, 30 fps, GOP 250), so both workers are busy to the end. Medians of
CPU and wall seconds; peak memory is that of the largest worker.

With `--codec vp9` ours decodes from the start of the video: docs/exactness.md says why.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from functools import partial
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

WORKERS = 2
FRAMES = 1800
WANTED = (1, 5, 20, 60)
WAYS = ("official", "ours", "limit")
# (Encoder, its options, how ours reaches a frame.) The first is as x264 does in all else.
CODECS: dict[str, tuple[str, dict[str, str], str]] = {
    "h264": ("libx264", {"crf": "23", "x264-params": "keyint=250"}, "index"),
    "vp9": (
        "libvpx-vp9",
        {"b": "3M", "g": "250", "deadline": "realtime", "cpu-used": "8", "row-mt": "1"},
        "sequential",
    ),
}
_ready: Barrier
Job = tuple[Path, list[int], str]  # video, frames wanted, how pictures are called


def main() -> None:
    """Encodes the video, runs both ways in turn and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--codec", choices=CODECS, default="h264")
    options = parser.parse_args()
    rounds: int = options.rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        video = encode(folder / f"{options.codec}.mp4", options.codec)
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
        print(
            f"| {options.codec}, wanted of {FRAMES:,} | CPU s, official | ours | ratio | limit"
            " | ours / limit | wall s, official | ours | ratio | peak MB, official | ours |"
        )
        print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
        for count in WANTED:
            print(row(video, count, rounds, folder), flush=True)


def row(video: Path, count: int, rounds: int, folder: Path) -> str:
    """One line of the table: all ways in turn, other frames wanted each round.

    Few frames a job make for more jobs, because the distance to a key frame is luck.
    """
    results: dict[str, list[tuple[float, float, float]]] = {name: [] for name in WAYS}
    for turn in range(rounds):
        rng = np.random.default_rng(1000 * count + turn)
        jobs = [
            (video, sorted(rng.choice(FRAMES, count, replace=False).tolist()), f"{folder}/{number}")
            for number in range(max(6, 60 // count))
        ]
        ways = [("official", official_jobs(jobs), official), ("ours", jobs, ours)]
        ways.append(("limit", jobs, bare_loop))
        for name, work, act in ways if turn % 2 else reversed(ways):
            results[name].append(measured(act, work))
    cpu, wall, memory = (
        [statistics.median(each[i] for each in results[name]) for name in WAYS] for i in range(3)
    )
    return (
        f"| {count} | {cpu[0]:.2f} | {cpu[1]:.2f} | {cpu[0] / cpu[1]:.1f} | {cpu[2]:.2f}"
        f" | {cpu[1] / cpu[2]:.2f} | {wall[0]:.2f} | {wall[1]:.2f} | {wall[0] / wall[1]:.1f}"
        f" | {memory[0]:.0f} | {memory[1]:.0f} |"
    )


def official_jobs(jobs: list[Job]) -> list[Job]:
    """The official pool works frame by frame."""
    return [(video, [number], name) for video, numbers, name in jobs for number in numbers]


def official(job: Job) -> None:
    """Opens the video and seeks once for each frame."""
    import cv2

    video, (number,), name = job
    capture = cv2.VideoCapture(str(video))
    capture.set(cv2.CAP_PROP_POS_FRAMES, number)
    read, bgr = capture.read()
    capture.release()
    assert read
    image = Image.fromarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))
    image.save(f"{name}_{number}_official.jpg")


def ours(job: Job) -> None:
    """Takes all wanted frames of the video in one pass."""
    from saco_data.media.frames import Frame, extract
    from saco_data.media.images import encode_jpeg

    video, numbers, name = job
    for frame in extract(video, numbers):
        assert isinstance(frame, Frame)
        assert frame.way.startswith(CODECS[video.stem][2])
        Path(f"{name}_{frame.index}_ours.jpg").write_bytes(encode_jpeg(frame.rgb))


def bare_loop(job: Job) -> None:
    """The limit: seeks to each key frame that is needed and decodes from there."""
    video, numbers, name = job
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        assert stream.average_rate and stream.time_base
        step = int(1 / (stream.average_rate * stream.time_base))
        entries = stream.index_entries
        delay = -entries[0].timestamp  # of decoding, before the first picture is shown
        groups: dict[int, dict[int, int]] = {}  # where to seek: the time stamps of wanted frames
        for number in numbers:
            place = entries.search_timestamp(number * step - delay, any_frame=False)
            groups.setdefault(entries[place].timestamp + delay, {})[number * step] = number
        for start, wanted in groups.items():
            container.seek(start, stream=stream)
            for frame in decode_group(container, stream, set(wanted)):
                if frame.pts in wanted:
                    path = f"{name}_{wanted[frame.pts]}_limit.jpg"
                    Image.fromarray(frame.to_ndarray(format="rgb24")).save(path)


def decode_group(container: Any, stream: Any, wanted: set[int]) -> Iterator[Any]:
    """The pictures from here to the last wanted one, but for those that no other one needs."""
    for packet in container.demux(stream):
        stream.codec_context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
        yield from stream.codec_context.decode(packet)
        wanted.discard(packet.pts)
        if not wanted:
            yield from stream.codec_context.decode(None)
            return


def measured(act: Callable[[Job], None], jobs: list[Job]) -> tuple[float, float, float]:
    """(CPU seconds, wall seconds, peak megabytes of a worker) of the jobs in a fresh pool."""
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(WORKERS)
    with ProcessPoolExecutor(WORKERS, context, initializer=warm, initargs=(ready,)) as pool:
        for each in [pool.submit(meet) for _ in range(WORKERS)]:
            each.result()
        start = time.perf_counter()
        used = list(pool.map(partial(metered, act), jobs))
        wall = time.perf_counter() - start
    return sum(cpu for cpu, _ in used), wall, max(peak for _, peak in used)


def warm(ready: Barrier) -> None:
    """Loads both ways' libraries before any clock starts."""
    import cv2  # noqa: F401

    import saco_data.media.frames
    import saco_data.media.images  # noqa: F401

    global _ready
    _ready = ready


def meet() -> None:
    """Returns once every worker is up."""
    _ready.wait()


def metered(act: Callable[[Job], None], job: Job) -> tuple[float, float]:
    """(CPU seconds of the job in all its threads, peak megabytes of the process so far)."""
    start = time.process_time()
    act(job)
    status = Path("/proc/self/status").read_text()
    return time.process_time() - start, int(status.split("VmHWM:")[1].split()[0]) / 1024


def encode(path: Path, codec: str) -> Path:
    """60 s of 720p at 30 fps with a key frame every 250 and (H.264) B-frames, some 3 Mbit/s.

    A camera that pans and zooms, things that move on their own, and grain. Where a picture only
    slides, B-frames hold next to nothing: 2 % of the bytes, against 29 % in a filmed bedroom.
    """
    width, height = 1280, 720
    rng = np.random.default_rng(0)
    scene = texture(rng, 256, 160, 12)
    things = [(texture(rng, 16, 16, 10), *rng.uniform(0, 2 * np.pi, 3)) for _ in range(12)]
    grain = rng.integers(0, 12, (height + 64, width + 64, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        encoder, options, _ = CODECS[codec]
        stream: Any = container.add_stream(encoder, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(FRAMES):
            wide = 1280 + 200 * np.sin(number / 140)
            x, y = 700 + 600 * np.sin(number / 230), 500 + 300 * np.sin(number / 90)
            box = (x, y, x + wide, y + wide * height / width)
            image = scene.resize((width, height), Image.Resampling.BILINEAR, box)
            for thing, one, two, three in things:
                side = int(100 + 50 * np.sin(number / (10 + 5 * one)))
                left = int(width * (0.5 + 0.45 * np.sin(number / (20 + 5 * two) + one)))
                top = int(height * (0.5 + 0.45 * np.sin(number / (15 + 5 * three) + two)))
                image.paste(thing.resize((side, side)), (left - side // 2, top - side // 2))
            shift = rng.integers(0, 64, 2)
            rgb = np.asarray(image) // 2 + grain[shift[0] :, shift[1] :][:height, :width]
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def texture(rng: np.random.Generator, width: int, height: int, scale: int) -> Image.Image:
    """Smooth random colours, `scale` times as large as asked."""
    dots = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    return dots.resize((width * scale, height * scale), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    main()
