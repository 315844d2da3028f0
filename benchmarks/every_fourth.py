"""Every fourth frame against a plain reimplementation of the official extraction.

Run as: python benchmarks/every_fourth.py

The plain way, as the official script does it: OpenCV decodes all frames into a list and writes
every fourth. Each runs in a process of its own, in turn; the files must be equal. CPU seconds
(user + system) and peak memory, the least of all rounds. `limit`: one decode, and nothing else.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import platform
import re
import resource
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SIZES = {"480p": (848, 480), "720p": (1280, 720), "1080p": (1920, 1080)}
SECONDS, RATE = 14, 24


def main() -> None:
    """Encodes the videos, runs both ways in turn and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work)
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(
        "| 14 s of 24 fps | CPU s, plain | ours | ratio | limit | ratio | peak MB, plain | ours |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        for size, pixels in SIZES.items():
            video = encode(Path(name, f"{size}.mp4"), pixels)
            results: dict[str, list[list[float]]] = {"plain": [], "ours": [], "limit": []}
            for turn in range(options.rounds):
                folders = [Path(name, f"{size}_{turn}_{way}") for way in results]
                for way, folder in zip(results, folders, strict=True):
                    results[way].append(run(way, video, folder))
                names = sorted(path.name for path in folders[0].iterdir())
                equal, *_ = filecmp.cmpfiles(folders[0], folders[1], names, shallow=False)
                assert sorted(equal) == names == sorted(p.name for p in folders[1].iterdir())
            plain, ours, limit = (np.min(each, axis=0) for each in results.values())
            print(
                f"| {size} | {plain[0]:.2f} | {ours[0]:.2f} | {plain[0] / ours[0]:.1f} |"
                f" {limit[0]:.2f} | {ours[0] / limit[0]:.1f} | {plain[1]:.0f} | {ours[1]:.0f} |",
                flush=True,
            )


def encode(path: Path, size: tuple[int, int]) -> Path:
    """A moving picture with some noise, with B-frames as usual on the web."""
    width, height = size
    chance = np.random.default_rng(0)
    # Smooth shapes with grain: about as hard to encode as a photograph.
    coarse = chance.integers(0, 255, (height // 40 + 20, width // 40 + 20, 3), dtype=np.uint8)
    wide = np.kron(coarse, np.ones((40, 40, 1), np.uint8))
    wide = wide // 2 + chance.integers(0, 24, wide.shape, dtype=np.uint8)
    with av.open(str(path), "w") as container:
        settings = {"preset": "veryfast", "crf": "23"}
        stream = container.add_stream("libx264", rate=RATE, options=settings)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for number in range(SECONDS * RATE):
            at = number * 2
            view = np.ascontiguousarray(wide[at // 2 :, at:][:height, :width])
            frame = av.VideoFrame.from_ndarray(view, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def run(way: str, video: Path, folder: Path) -> list[float]:
    """CPU seconds and peak MB of a way, in a process of its own."""
    arguments = [sys.executable, __file__, "--work", way, str(video), str(folder)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    cpu, peak = json.loads(done.stdout)
    return [cpu, peak]


def work(way: str, video: str, folder: str) -> None:
    """Extracts one video and prints CPU seconds, imports left out, and peak MB."""
    if way == "ours":
        from saco_data.media import every_fourth

        start = cpu()
        every_fourth.write(Path(video), Path(folder))
    elif way == "limit":
        start = cpu()
        with av.open(video) as container:
            for _ in container.decode(video=0):
                pass
    else:
        import cv2

        start = cpu()
        extract_plainly(cv2.VideoCapture(video), Path(folder))
    used = cpu() - start
    # `ru_maxrss` would begin with the memory of the process that started this one.
    peak = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    assert peak
    print(json.dumps([used, int(peak[1]) / 1024]))


def cpu() -> float:
    """CPU seconds of this process so far, of all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def extract_plainly(capture: object, folder: Path) -> None:
    """Decodes all frames into a list, then writes every fourth."""
    import cv2

    assert isinstance(capture, cv2.VideoCapture)
    frames = []
    while True:
        read, frame = capture.read()
        if not read:
            break
        frames.append(frame)
    folder.mkdir()
    for number in range(0, len(frames), 4):
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), frames[number])


if __name__ == "__main__":
    main()
