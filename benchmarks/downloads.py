"""Downloads against the official way, on loopback, from a server in a process of its own.

    python benchmarks/downloads.py [--files 2000] [--megabytes 1024] [--rounds 3]

The official way is `requests.get` in 16 processes, without checks; ours computes sha256, syncs and
renames each file. Rounds are interleaved and ratios are those of the medians.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import requests

from saco_data.records import Reason
from saco_data.sandbox.http_server import FileServer
from saco_data.transports.http import Http, Policy, Request

LATENCY = 0.03  # seconds
BANDWIDTH = 20_000_000  # bytes a second for each connection


def _serve(root: str, latency: float, bandwidth: int, pipe: Connection) -> None:
    with FileServer(Path(root), latency=latency, bandwidth=bandwidth) as server:
        pipe.send(server.url)
        pipe.recv()


class Server:
    """A FileServer in another process."""

    def __init__(self, root: Path, latency: float, bandwidth: int = 0) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        arguments = (str(root), latency, bandwidth, theirs)
        self._process = multiprocessing.get_context("spawn").Process(target=_serve, args=arguments)

    def __enter__(self) -> str:
        self._process.start()
        url: str = self._pipe.recv()
        return url

    def __exit__(self, *_: object) -> None:
        self._pipe.send("stop")
        self._process.join()


def _official_one(pair: tuple[str, str]) -> None:
    answer = requests.get(pair[0])
    Path(pair[1]).write_bytes(answer.content)


def official(url: str, names: list[str], to: Path) -> None:
    with multiprocessing.get_context("fork").Pool(16) as pool:
        pool.map(_official_one, [(f"{url}/{name}", str(to / name)) for name in names])


def ours(url: str, names: list[str], to: Path, policy: Policy) -> None:
    with Http(policy) as http:
        wanted = (Request(name, f"{url}/{name}", to / name) for name in names)
        for reply in http.fetch(wanted):
            assert reply.reason is Reason.OK, reply


def one_stream(url: str, name: str, to: Path) -> None:
    with (
        requests.get(f"{url}/{name}", stream=True, timeout=60) as answer,
        (to / name).open("wb") as file,
    ):
        for piece in answer.iter_content(1 << 20):
            file.write(piece)


@dataclass(frozen=True)
class Cost:
    """What one run took: seconds by the clock and of processor, and peak MB of its main process."""

    seconds: float
    cpu: float
    peak: float


def _child(work: Callable[..., None], arguments: tuple[object, ...], pipe: Connection) -> None:
    before = time.perf_counter()
    work(*arguments)
    seconds = time.perf_counter() - before
    mine, workers = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cpu = mine.ru_utime + mine.ru_stime + workers.ru_utime + workers.ru_stime
    pipe.send(Cost(seconds, cpu, mine.ru_maxrss / 1024))


def measured(work: Callable[..., None], *arguments: object) -> Cost:
    """The cost of `work` in a fresh process."""
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_child, args=(work, arguments, theirs)
    )
    process.start()
    cost: Cost = mine.recv()
    process.join()
    return cost


def compare(
    title: str,
    rounds: int,
    sizes: dict[str, int],
    plain: Callable[[Path], Cost],
    fast: Callable[[Path], Cost],
) -> None:
    """Runs both ways in turn and prints medians, their ratio, and every round."""
    costs: dict[str, list[Cost]] = {"plain": [], "ours": []}
    loads = []
    for _ in range(rounds):
        for name, way in (("plain", plain), ("ours", fast)):
            with tempfile.TemporaryDirectory() as folder:
                loads.append(os.getloadavg()[0])
                costs[name].append(way(Path(folder)))
                for file, size in sizes.items():
                    assert (Path(folder) / file).stat().st_size == size, file
    seconds = {name: statistics.median(c.seconds for c in each) for name, each in costs.items()}
    print(title)
    for name, each in costs.items():
        cpu = statistics.median(c.cpu for c in each)
        print(
            f"  {name:6} {seconds[name]:7.2f} s  cpu {cpu:6.2f} s"
            f"  peak {max(c.peak for c in each):4.0f} MB"
            f"  rounds {' '.join(f'{c.seconds:.2f}' for c in each)}"
        )
    ratios = [a.seconds / b.seconds for a, b in zip(costs["plain"], costs["ours"], strict=True)]
    print(
        f"  ratio of medians {seconds['plain'] / seconds['ours']:.2f},"
        f" by round {' '.join(f'{ratio:.2f}' for ratio in ratios)};"
        f" load {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=64)
    options = parser.parse_args()
    dice = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        sizes = {f"{i}.bin": dice.randint(50_000, 300_000) for i in range(options.files)}
        for name, size in sizes.items():
            (root / name).write_bytes(dice.randbytes(size))
        names, policy = list(sizes), Policy(concurrency=options.concurrency)
        if names:
            with Server(root, LATENCY) as url:
                compare(
                    f"{options.files} files of 50-300 kB, 30 ms",
                    options.rounds,
                    sizes,
                    lambda to: measured(official, url, names, to),
                    lambda to: measured(ours, url, names, to, policy),
                )
        if options.megabytes:
            with (root / "large.bin").open("wb") as file:
                for _ in range(options.megabytes):
                    file.write(dice.randbytes(1 << 20))
            large = {"large.bin": options.megabytes << 20}
            with Server(root, LATENCY, BANDWIDTH) as url:
                compare(
                    f"{options.megabytes} MB, 20 MB/s a connection",
                    options.rounds,
                    large,
                    lambda to: measured(one_stream, url, "large.bin", to),
                    lambda to: measured(ours, url, ["large.bin"], to, Policy()),
                )


if __name__ == "__main__":
    main()
