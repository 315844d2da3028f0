"""J&F against the official algorithm, in turn in one run: python benchmarks/jf.py

"Plain" is our own plain reimplementation of what the official evaluator does: Pillow reads whole
frames, numpy and OpenCV compare them. Both count the same folders in the SA-V layout, reading of
the PNG files included; their numbers must be equal. CPU seconds (user + system) of one process,
the least of all rounds, beside what OpenCV takes to read the same PNG files whole. Then wall
and CPU seconds of ours on one and on two processes, for as many pairs as SA-V val has: the start
of the processes, half a second, is part of it.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cpu_seconds
import cv2
import numpy as np
from PIL import Image

from saco_data.evaluation.jf import evaluate_folders
from saco_data.executors.local import LocalExecutor

FRAMES = 26
COPIES = 54  # 31,104 pairs; SA-V val has 31,381
SIZES = {"480p": (480, 848), "720p": (720, 1280), "1080p": (1080, 1920)}
WRITERS = ("Pillow P", "Pillow 1", "Pillow L", "OpenCV")


def main() -> None:
    """Draws the masks, runs both ways in turn and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    cv2.setNumThreads(1)  # or its threads would be counted as time of the plain way
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print("CPU milliseconds a frame and object:")
    print("| size | PNG written by | plain | ours | ratio | OpenCV reads | ours to that |")
    print("|---|---|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as name:
        for size, shape in SIZES.items():
            for writer in WRITERS:
                folder = Path(name, size, writer.replace(" ", "_"))
                draw(folder, shape, writer, videos=2)
                print(f"| {size} | {writer} | {row(folder, rounds)} |", flush=True)
        folder = Path(name, "many")
        draw(folder, SIZES["720p"], "Pillow P", videos=12)
        repeat(folder, COPIES)
        pairs = COPIES * 12 * 2 * (FRAMES - 2)
        print(f"\nWall seconds, {pairs:,} pairs of 720p, start of processes included:")
        print("| one process | two | ratio | CPU of one | CPU of two | load |")
        print("|--:|--:|--:|--:|--:|--:|")
        cpu_seconds.adopt_workers()
        for _ in range(rounds):
            print(wall_row(folder), flush=True)


def row(folder: Path, rounds: int) -> str:
    """CPU of both ways on one folder."""
    pairs = 2 * 2 * (FRAMES - 2)
    plain, ours, least = [], [], []
    for _ in range(rounds):
        seconds, expected = cpu(lambda: evaluate_plainly(folder))
        plain.append(seconds)
        seconds, found = cpu(lambda: evaluate_folders(folder / "truth", folder / "predicted"))
        ours.append(seconds)
        least.append(cpu(lambda: read_alone(folder))[0])
        numbers = [found.official["J"], found.official["F"]]
        assert np.allclose(numbers, expected, rtol=0, atol=1e-9), (numbers, expected)
    before, after, limit = (1000 * min(each) / pairs for each in (plain, ours, least))
    ratios = f"{before / after:.1f} | {limit:.2f} | {after / limit:.1f}"
    return f"{before:.2f} | {after:.2f} | {ratios}"


def read_alone(folder: Path) -> None:
    """Reads all masks that are compared, and nothing else."""
    for each in sorted(folder.glob("*/*/*")):
        for path in sorted(each.iterdir())[1:-1]:
            assert cv2.imread(str(path), cv2.IMREAD_UNCHANGED) is not None


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and its result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def wall_row(folder: Path) -> str:
    """Wall seconds of ours on one process and on two, then CPU seconds with the workers."""
    paths = folder / "truth", folder / "predicted"
    before, start = cpu_seconds.total(), time.perf_counter()
    evaluate_folders(*paths)
    one = time.perf_counter() - start
    between, start = cpu_seconds.total(), time.perf_counter()
    executor = LocalExecutor(2)
    evaluate_folders(*paths, executor=executor)
    two = time.perf_counter() - start
    executor.close()
    used = between - before, cpu_seconds.total() - between
    return (
        f"| {one:.2f} | {two:.2f} | {one / two:.2f} | {used[0]:.2f} | {used[1]:.2f} |"
        f" {os.getloadavg()[0]:.1f} |"
    )


def draw(folder: Path, shape: tuple[int, int], writer: str, *, videos: int) -> None:
    """Moving blobs of all sizes, two objects a video; predictions are a little off."""
    chance = np.random.default_rng(0)
    for video in range(videos):
        for each in range(2):
            centre = chance.uniform(0.2, 0.8, 2) * shape[::-1]
            radius = chance.uniform(0.03, 0.25) * min(shape)
            bumps = 1 + 0.3 * chance.random(40)
            speed = chance.uniform(-5, 5, 2)
            for frame in range(FRAMES):
                place = f"{video:03d}/{each:03d}/{4 * frame:05d}.png"
                at = centre + frame * speed
                save(folder / "truth" / place, blob(shape, at, radius * bumps), writer)
                wrong = bumps + chance.normal(0, 0.02, 40)
                save(folder / "predicted" / place, blob(shape, at, radius * wrong), writer)


def repeat(folder: Path, copies: int) -> None:
    """Gives each video more names, so that there is work for a while."""
    for path in list(folder.rglob("*.png")):
        side, video, *rest = path.relative_to(folder).parts
        for number in range(1, copies):
            other = folder.joinpath(side, f"{video}_{number:02d}", *rest)
            other.parent.mkdir(parents=True, exist_ok=True)
            other.hardlink_to(path)


def blob(shape: tuple[int, int], centre: Any, radii: Any) -> Any:
    """A star-shaped mask, 0 and 1."""
    angles = np.linspace(0, 2 * math.pi, len(radii), endpoint=False)
    points = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    mask = np.zeros(shape, np.uint8)
    cv2.fillPoly(mask, [points.round().astype(np.int32)], 1)
    return mask


def save(path: Path, mask: Any, writer: str) -> None:
    """The mask as one of the usual tools writes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if writer == "OpenCV":
        cv2.imwrite(str(path), mask * 255)
    elif writer == "Pillow 1":
        Image.fromarray(mask.astype(bool)).save(path)
    elif writer == "Pillow L":
        Image.fromarray(mask * 255).save(path)
    else:
        image = Image.fromarray(mask)
        image.putpalette(bytes(range(256)) * 3)
        image.save(path)


def evaluate_plainly(folder: Path) -> tuple[float, float]:
    """J and F in percent, on whole frames; for masks that are never empty."""
    scores = []
    for each in sorted((folder / "truth").glob("*/*")):
        frames = sorted(each.iterdir())[1:-1]
        of_object = []
        for path in frames:
            other = folder / "predicted" / path.relative_to(folder / "truth")
            masks = []
            for name in (path, other):
                values = np.array(Image.open(name))
                assert len(np.unique(values)) <= 2
                masks.append(values > 0)
            np.unique(masks[0])  # the official way lists the objects of both once more
            np.unique(masks[1])
            of_object.append(compare_plainly(*masks))
        scores.append(np.mean(of_object, axis=0))
    j, f = 100 * np.mean(scores, axis=0)
    return j, f


def compare_plainly(truth: Any, prediction: Any) -> tuple[float, float]:
    """J and F of two masks by DAVIS's definition."""
    common = (truth * prediction).sum()
    j = common / (truth.sum() + prediction.sum() - common)
    reach = math.ceil(0.008 * float(np.linalg.norm(truth.shape)))
    y, x = np.ogrid[-reach : reach + 1, -reach : reach + 1]
    disk = (x * x + y * y <= reach * reach).astype(np.uint8)
    true, predicted = boundary_plainly(truth), boundary_plainly(prediction)
    near_true = cv2.dilate(true.astype(np.uint8), disk)
    near_predicted = cv2.dilate(predicted.astype(np.uint8), disk)
    precision = np.sum(predicted * near_true) / np.sum(predicted)
    recall = np.sum(true * near_predicted) / np.sum(true)
    return j, 2 * precision * recall / (precision + recall)


def boundary_plainly(mask: Any) -> Any:
    """The pixels that differ from a neighbour to the right or below."""
    right, below, corner = (np.zeros_like(mask) for _ in range(3))
    right[:, :-1] = mask[:, 1:]
    below[:-1] = mask[1:]
    corner[:-1, :-1] = mask[1:, 1:]
    found = (mask ^ right) | (mask ^ below) | (mask ^ corner)
    found[-1] = mask[-1] ^ right[-1]
    found[:, -1] = mask[:, -1] ^ below[:, -1]
    found[-1, -1] = False
    return found


if __name__ == "__main__":
    main()
