"""DROID: 200 small videos over HTTPS, over gsutil in few processes, and one gsutil process each.

    python benchmarks/droid.py [--videos 200] [--processes 10]

The servers run on loopback; `gsutil` and our HTTPS client both go through the CONNECT proxy to
`storage.googleapis.com`. One process each is measured on `--processes` videos and scaled up. The
limit is that of the servers: a bare aiohttp loop that fetches the same and keeps nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import ssl
import subprocess
import tempfile
import time
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote

import aiohttp

from saco_data.config import settings as config
from saco_data.model.records import Arrival, Asset
from saco_data.sandbox.gcs import HOST, GcsServer
from saco_data.sandbox.proxy import ConnectProxy
from saco_data.sources.base import Context
from saco_data.sources.droid import DroidSource, object_name
from saco_data.transports.official import processes

ROOT = "robotics/droid_raw/1.0.1"
# The head of an MP4 file: enough to be taken for a video; what follows differs.
HEAD = b"\x00\x00\x00\x20ftypisom\x00\x00\x02\x00isomiso2avc1mp41"


def main() -> None:
    """Measures and prints one line a way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=200)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--bytes", type=int, default=50_000)
    options = parser.parse_args()
    videos = [
        f"RAIL_success_2023-07-07_Fri_Jul__7_18:{n // 60:02}:{n % 60:02}_2023_recordings_MP4_22.mp4"
        for n in range(options.videos)
    ]
    objects = {f"{ROOT}/{object_name(v)}": HEAD + os.urandom(options.bytes) for v in videos}
    folder = Path(tempfile.mkdtemp(prefix="saco-benchmark-"))
    try:
        with GcsServer({"gresearch": objects}) as gcs, ConnectProxy({HOST: gcs.handler}) as proxy:
            os.environ.update(proxy.environment)
            https = prepare(folder / "https", videos, objects, "https")
            batched = prepare(folder / "gsutil", videos, objects, "gsutil")
            limit = asyncio.run(fetch_alone(list(objects), proxy.environment["https_proxy"]))
            some = videos[: options.processes]
            each = one_each(folder, some) / len(some) * len(videos)
    finally:
        shutil.rmtree(folder)
    count = len(videos)
    print(f"one gsutil process each: {each:8.2f} s (measured on {len(some)}, scaled to {count})")
    print(f"transport gsutil:        {batched:8.2f} s  {each / batched:6.1f} times as fast")
    print(f"transport https:         {https:8.2f} s  {each / https:6.1f} times as fast")
    print(f"bare aiohttp loop:       {limit:8.2f} s, https takes {https / limit:.1f} times that")


def prepare(folder: Path, videos: list[str], objects: dict[str, bytes], transport: str) -> float:
    """Seconds for all videos by our source, every byte compared afterwards."""
    text = f"transport: {{droid: {transport}}}"
    fetcher = DroidSource(config.parse(text, folder / "CONFIG_FRAMES.yaml").subset("droid"))
    begun = time.perf_counter()
    items = list(fetcher.fetch([Asset(video, ()) for video in videos], Context()))
    took = time.perf_counter() - begun
    assert len(items) == len(videos)
    for item in items:
        assert isinstance(item, Arrival), item
        assert isinstance(item.raw, Path)
        assert item.raw.read_bytes() == objects[f"{ROOT}/{object_name(item.asset.key)}"]
    return took


async def fetch_alone(names: list[str], proxy: str) -> float:
    """Seconds to fetch all objects, eight at a time, over the same proxy."""
    slots = asyncio.Semaphore(8)
    trusted = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    begun = time.perf_counter()
    async with aiohttp.ClientSession() as session:

        async def fetch(name: str) -> None:
            url = f"https://{HOST}/gresearch/{quote(name)}"
            async with slots, session.get(url, proxy=proxy, ssl=trusted) as answer:
                assert answer.status == HTTPStatus.OK and await answer.read()

        await asyncio.gather(*map(fetch, names))
    return time.perf_counter() - begun


def one_each(folder: Path, videos: list[str]) -> float:
    """Seconds for one `gsutil cp` after another, as the official script runs them."""
    program = processes.find("gsutil")
    begun = time.perf_counter()
    for video in videos:
        url = f"gs://gresearch/{ROOT}/{object_name(video)}"
        command = [program, "-q", "cp", url, str(folder / video)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
