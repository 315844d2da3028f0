"""The hours of `saco plan` against those that `saco prepare` took, from throttled servers.

    python benchmarks/plan_hours.py [--pictures 120] [--videos 8]

Three sources on loopback, one after the other: NGA at its polite rate of 4 requests a second, with
pictures of the size that its manifest calls typical; the same without that rate, over a link of
the speed that the plan assumes, shared by its four connections; YouTube's videos, with its rate and
with shorter pauses. These videos are small, so that the plan's time for their bytes is left out.

What counts is the time from the first request to the last finished file: the start of the program
does not grow with the work.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from saco_data.catalog.registry import builtin
from saco_data.config.settings import FILE_NAME, load
from saco_data.engine import forecast
from saco_data.planning.costs import LINE_RATE
from saco_data.sandbox.annotation_writer import build_document
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.miniature import build_subset
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.proxy import Handler, Request, Response
from saco_data.sandbox.recipe import FILES, VIDEOS, MiniatureSubset
from saco_data.sandbox.recipes import recipe_of

WANTED = 0.2  # the largest difference from 1 that a ratio may have
PAUSES = [1.0, 2.0]  # seconds between two videos
_COMMENT = 65_533  # bytes in a comment of a JPEG


@dataclass(frozen=True)
class Case:
    """A source under its limits. `link`: bytes a second of all connections, 0 for no limit."""

    title: str
    subset: str
    limits: Mapping[str, Any]
    link: int = 0


def main() -> None:
    """Runs all cases and prints hours, their ratios and what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pictures", type=int, default=120)
    parser.add_argument("--videos", type=int, default=8)
    arguments = parser.parse_args()
    free = {"requests_per_second": 0, "sleep_seconds": [0, 0]}
    cases = [
        Case("NGA, 4 requests a second", "nga", {}),
        Case("NGA, a link of 100 Mbit/s", "nga", free, LINE_RATE),
        Case("YouTube, 1.33 requests a second, pauses", "yt1b", {"sleep_seconds": PAUSES}),
    ]
    print(f"{'':42} {'plan':>8} {'took':>8} {'took/plan':>9}")
    for case in cases:
        parts = arguments.pictures // FILES if case.subset == "nga" else arguments.videos // VIDEOS
        with tempfile.TemporaryDirectory() as folder:
            planned, took = measure(case, gather(case.subset, parts), Path(folder))
        ratio = took / planned
        verdict = "ok" if abs(ratio - 1) <= WANTED else "NOT ok"
        print(f"{case.title:42} {planned:6.1f} s {took:6.1f} s {ratio:9.2f}  {verdict}")


def gather(name: str, parts: int) -> MiniatureSubset:
    """Several miniatures of a subset as one; pictures have the size that is typical."""
    whole = MiniatureSubset(name)
    for seed in range(parts):
        part = build_subset(name, seed)
        whole.entries += part.entries
        whole.missing += part.missing
        whole.raw |= part.raw
        whole.raw_name |= part.raw_name
    if name == "nga":
        size = builtin().find(name).raw.typical_bytes
        whole.raw = {key: pad(content, size) for key, content in whole.raw.items()}
    return whole


def pad(picture: bytes, size: int) -> bytes:
    """A JPEG of at least `size` bytes: one with comments."""
    comment = b"\xff\xfe" + (_COMMENT + 2).to_bytes(2, "big") + bytes(_COMMENT)
    return picture[:2] + comment * (size // len(comment)) + picture[2:]


def measure(case: Case, subset: MiniatureSubset, folder: Path) -> tuple[float, float]:
    """Seconds that the plan says, and that `saco prepare` took."""
    manifest = builtin().find(case.subset)
    connections = manifest.rates.concurrency
    file = folder / "annotations" / manifest.annotations.file
    file.parent.mkdir()
    file.write_text(json.dumps(build_document(case.subset, subset.entries)))
    with (
        FileServer(bandwidth=case.link // connections) as server,
        Mounts(folder / "raw", server) as mounts,
    ):
        recipe_of(case.subset).mount(subset, mounts)
        keys = {
            "path_annotations": "annotations",
            "silver_path": "silver",
            f"{case.subset}_path": case.subset,
            **mounts.keys,
            "limits": {case.subset: dict(case.limits)},
        }
        (folder / FILE_NAME).write_text(yaml.safe_dump(keys))
        [line] = forecast.make(load(folder / FILE_NAME), [case.subset]).lines
        planned = line.costs.seconds
        if case.subset == "yt1b":
            planned -= line.costs.fetch.likely / LINE_RATE
        requests = watch_requests(server, mounts)
        command = [sys.executable, "-m", "saco_data", "prepare", case.subset]
        subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **mounts.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        first = min(requests()) - time.monotonic() + time.time()
        last = max(path.stat().st_ctime for path in (folder / "silver" / "images").rglob("*.jpg"))
        return planned, last - first


def watch_requests(server: FileServer, mounts: Mounts) -> Callable[[], list[float]]:
    """A function that returns the times of the requests that came, as `time.monotonic` counts."""
    times: list[float] = []

    def watched(handler: Handler) -> Handler:
        def handle(request: Request) -> Response:
            times.append(request.time)
            return handler(request)

        return handle

    if (proxy := mounts.servers.get("proxy")) is not None:
        for host, handler in proxy.handlers.items():
            proxy.handlers[host] = watched(handler)
    return lambda: [*server.started, *times]


if __name__ == "__main__":
    main()
