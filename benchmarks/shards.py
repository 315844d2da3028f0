"""A shard of SA-V train while it streams, against reading the tar and throwing it away.

Run as: python benchmarks/shards.py [--megabytes 1024] [--rounds 3]

A server in a process of its own offers a tar of real videos of 8 MB and of annotations, and its
md5. Each way runs in a process of its own, in turn: urllib reads the tar and throws it away; ours
compares the md5 and unpacks each file while the tar streams ("digest"), and also checks each file
as a run does ("verified": statistics of annotations, packets and first frame of videos). Wall
seconds (medians), rates against the plain way, and CPU seconds (user + system) of the reader. Once
as fast as loopback gives the bytes, once at 1 Gbit/s. Files go into memory (/dev/shm) where that is
there, so that the disk is not measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from multiprocessing.connection import Connection
from pathlib import Path

import av
import numpy as np
import yaml

from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.packing import pack_tar
from saco_data.sandbox.recipes.sav_train import _annotate
from saco_data.sandbox.scene import draw_scene

WAYS = ("plain", "digest", "verified")
GIGABIT = 125_000_000  # bytes a second
VIDEO_BYTES = 8_000_000
PIECE = 1 << 20


def main() -> None:
    """Packs the shard, runs all ways in turn and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1024)
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
    """A shard of about so many bytes, with its checksum; returns its bytes."""
    folder.mkdir()
    video = encode()
    scene = draw_scene(random.Random(0), 160, 120, frames=48)
    members: dict[str, bytes] = {}
    for number in range(max(1, size // len(video))):
        stem = f"sav_train/sav_000/sav_{number:06d}"
        members[f"{stem}.mp4"] = video
        members[f"{stem}_manual.json"] = json.dumps(_annotate(stem[-10:], scene)).encode()
    content = pack_tar(members)
    (folder / "sav_000.tar").write_bytes(content)
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
    (folder / "sav_md5sum.chk").write_text(f"{digest}  sav_000.tar\n")
    return len(content)


def encode() -> bytes:
    """A video of noise, so that few frames make many bytes."""
    path = Path(tempfile.mkdtemp()) / "video.mp4"
    chance = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "18"}
        stream = container.add_stream("libx264", rate=24, options=options)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for _ in range(20):
            pixels = chance.integers(0, 256, (720, 1280, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            if path.exists() and path.stat().st_size > VIDEO_BYTES:
                break
        container.mux(stream.encode(None))
    return path.read_bytes()


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
    url, folder = place.split(" ")
    if way == "plain":
        start, before = time.perf_counter(), cpu()
        with urllib.request.urlopen(f"{url}/sav_000.tar") as answer:
            while answer.read(PIECE):
                pass
    else:
        start, before = read_shard(url, Path(folder), is_verified=way == "verified")
    print(json.dumps([time.perf_counter() - start, cpu() - before]))


def read_shard(url: str, folder: Path, *, is_verified: bool) -> tuple[float, float]:
    """Reads the shard as a run does; returns wall and CPU time at its beginning."""
    from saco_data.config.settings import parse
    from saco_data.media import content, process  # noqa: F401 - imported before the clock runs
    from saco_data.sources import Context, make

    with tempfile.TemporaryDirectory(dir=folder) as name:
        links = Path(name, "links.txt")
        rows = [f"{each}\t{url}/{each}\n" for each in ("sav_000.tar", "sav_md5sum.chk")]
        links.write_text(f"file_name\tcdn_link\n{''.join(rows)}")
        own = {"links_file": "links.txt", "path": "sa-v", "shards": [0]}
        keys = {"collections": {"sa-v": own}, "silver_path": "silver", "path_annotations": "a"}
        source = make(parse(yaml.safe_dump(keys), Path(name, "c.yaml")).subset("sa-v/train"))
        start, before = time.perf_counter(), cpu()
        assert source.write_listing(Context()) == ["sav_000.tar"]
        unpacked = [path for path in source.config.raw_folder.rglob("sav_*") if path.is_file()]
        if is_verified:
            for path in unpacked:
                content.check_content(path.read_bytes(), path.name)
        ended = time.perf_counter() - start, cpu() - before
        assert unpacked
    # The time of removing the files is left out.
    return time.perf_counter() - ended[0], cpu() - ended[1]


def cpu() -> float:
    """CPU seconds of this process so far, of all its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
