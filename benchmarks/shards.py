"""A shard of SA-V train while it streams, against reading the tar and throwing it away.

Run as: python benchmarks/shards.py [--megabytes 2048] [--rounds 3]

A server in a process of its own offers a tar of videos of 8 MB and of annotations as large as those
of SA-V, and its md5. Each way runs in a program of its own, in turn: urllib reads the tar and
throws it away; ours compares the md5 and unpacks each file while the tar streams ("unpacked"); and
a whole run, from the first request to the last line of the ledger, which also checks each file and
computes its sha256 ("prepared"). Wall seconds (medians), rates against the plain way, and CPU
seconds (user + system) of the program with its workers. Once as fast as loopback gives the bytes,
once at 1 Gbit/s.

Before that, "floor": CPU seconds of the md5 of the tar, of the sha256 of its files and of the
checks alone, from memory in one thread. No reader that does this is faster than its cores allow,
however fast the bytes come. Files go into memory (/dev/shm) where that is there, so that the disk
is not measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import av
import cpu_seconds
import numpy as np
import yaml
from pycocotools import mask as coding

import saco_data as saco
from saco_data.media import content
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.packing import pack_tar

WAYS = ("plain", "unpacked", "prepared")
GIGABIT = 125_000_000  # bytes a second
VIDEO_BYTES = 8_000_000
FRAMES, RATE = 336, 24
WIDTH, HEIGHT = 1280, 720
OBJECTS = {"manual": 3, "auto": 6}
PIECE = 1 << 20


def main() -> None:
    """Packs the shard, runs all ways in turn and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work)
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        size = pack(folder / "served", options.megabytes * 1_000_000)
        for what, bandwidth in (("loopback", 0), ("1 Gbit/s", GIGABIT)):
            print(f"\n{size / 1e6:.0f} MB, {what}:")
            print("| way | MB/s | of plain | CPU s | load |\n|---|--:|--:|--:|--:|")
            ours, theirs = multiprocessing.Pipe()
            server = multiprocessing.Process(
                target=serve, args=(folder / "served", bandwidth, theirs)
            )
            server.start()
            compare(ours.recv(), folder, size, options.rounds)
            ours.send("end")
            server.join()


def pack(folder: Path, size: int) -> int:
    """A shard of about so many bytes, with its checksum; prints its floor, returns its bytes."""
    folder.mkdir()
    video = encode()
    masklets = {kind: annotate(count) for kind, count in OBJECTS.items()}
    members: dict[str, bytes] = {}
    for number in range(max(1, size // len(video))):
        name = f"sav_{number:06d}"
        members[f"sav_train/sav_000/{name}.mp4"] = video
        for kind, found in masklets.items():
            text = json.dumps({"video_id": name, **found}).encode()
            members[f"sav_train/sav_000/{name}_{kind}.json"] = text
    tar = pack_tar(members)
    (folder / "sav_000.tar").write_bytes(tar)
    before = time.process_time()
    digest = hashlib.md5(tar, usedforsecurity=False).hexdigest()
    hashed = time.process_time()
    for each in members.values():
        hashlib.sha256(each).hexdigest()
    summed = time.process_time()
    for name, each in members.items():
        content.check_content(each, name)
    checked = time.process_time()
    times = hashed - before, summed - hashed, checked - summed
    rate = len(tar) / sum(times) * (os.cpu_count() or 1) / 1e6
    print(
        f"floor of {len(tar) / 1e6:.0f} MB: md5 {times[0]:.2f}, sha256 {times[1]:.2f}, checks "
        f"{times[2]:.2f} CPU s: at most {rate:.0f} MB/s on {os.cpu_count()} cores"
    )
    (folder / "sav_md5sum.chk").write_text(f"{digest}  sav_000.tar\n")
    return len(tar)


def encode() -> bytes:
    """A video of moving noise with the bit rate of SA-V's."""
    path = Path(tempfile.mkdtemp()) / "video.mp4"
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
    pixels = pixels.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.bit_rate = VIDEO_BYTES * 8 * RATE // FRAMES
        for number in range(FRAMES):
            moved = np.roll(pixels, (5 * number, 3 * number), (0, 1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        container.mux(stream.encode(None))
    return path.read_bytes()


def annotate(count: int) -> dict[str, Any]:
    """The masklets of so many objects, about 310 bytes a mask, with their statistics."""
    chance = np.random.default_rng(count)
    shape, areas = (848, 480), np.zeros((FRAMES // 4, count))
    rows: list[list[dict[str, Any]]] = []
    for row in range(FRAMES // 4):
        rows.append([])
        for each in range(count):
            mask = np.zeros(shape, np.uint8, order="F")
            first, top = chance.integers(0, 350), chance.integers(300, 400)
            for column in range(first, first + 100):
                top += chance.integers(-3, 4)
                mask[top : top + chance.integers(100, 150), column] = 1
            areas[row, each] = mask.sum()
            counts = coding.encode(mask)["counts"]
            rows[-1].append(
                {"size": shape, "counts": counts if isinstance(counts, str) else counts.decode()}
            )
    means = areas.mean(0)
    return {
        "video_width": shape[1],
        "video_height": shape[0],
        "video_frame_count": FRAMES,
        "masklet_id": list(range(count)),
        "masklet_first_appeared_frame": [0] * count,
        "masklet_visibility_changes": [0] * count,
        "masklet_size_abs": means.tolist(),
        "masklet_size_rel": (means / (shape[0] * shape[1])).tolist(),
        "masklet_frame_count": [len(rows)] * count,
        "masklet": rows,
    }


def serve(folder: Path, bandwidth: int, pipe: Connection) -> None:
    """A server until it is told to end."""
    with FileServer(folder, bandwidth=bandwidth) as server:
        pipe.send(server.url)
        pipe.recv()


def compare(url: str, folder: Path, size: int, rounds: int) -> None:
    """The rows of one table."""
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    used: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way in WAYS:
            arguments = [sys.executable, __file__, "--work", way, f"{url} {folder}"]
            done = subprocess.run(arguments, capture_output=True, text=True, check=True)
            wall, cpu = json.loads(done.stdout)
            seconds[way].append(wall)
            used[way].append(cpu)
    plain = statistics.median(seconds["plain"])
    for way in WAYS:
        wall = statistics.median(seconds[way])
        print(
            f"| {way} | {size / wall / 1e6:.0f} | {plain / wall:.2f} |"
            f" {statistics.median(used[way]):.2f} | {os.getloadavg()[0]:.1f} |",
            flush=True,
        )


def work(way: str, place: str) -> None:
    """One way; prints wall and CPU seconds, imports left out."""
    cpu_seconds.adopt_workers()
    url, folder = place.split(" ")
    if way == "plain":
        start, before = time.perf_counter(), cpu_seconds.total()
        with urllib.request.urlopen(f"{url}/sav_000.tar") as answer:
            while answer.read(PIECE):
                pass
        wall = time.perf_counter() - start
    else:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            config = configure(url, Path(name))
            start, before = time.perf_counter(), cpu_seconds.total()
            (unpack if way == "unpacked" else prepare)(config)
            wall = time.perf_counter() - start  # without the removal of the files
    print(json.dumps([wall, cpu_seconds.total() - before]))


def configure(url: str, folder: Path) -> Path:
    """A config that takes the shard from the server."""
    rows = [f"{each}\t{url}/{each}\n" for each in ("sav_000.tar", "sav_md5sum.chk")]
    (folder / "links.txt").write_text(f"file_name\tcdn_link\n{''.join(rows)}")
    own = {"links_file": "links.txt", "path": "sa-v", "shards": [0]}
    keys = {"collections": {"sa-v": own}, "silver_path": "silver", "path_annotations": "a"}
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(keys))
    return config


def unpack(config: Path) -> None:
    """Reads the shard as a run does, and compares its md5."""
    from saco_data.sources import Context, make

    source = make(saco.read_config(config).subset("sa-v/train"))
    assert source.write_listing(Context()) == ["sav_000.tar"]


def prepare(config: Path) -> None:
    """Runs to the end."""
    assert saco.prepare(config, "sa-v/train").code == 0


if __name__ == "__main__":
    main()
