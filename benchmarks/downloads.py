"""Downloads against the official way, on loopback, from a server in a process of its own.

    python benchmarks/downloads.py [--files 2000] [--megabytes 1024] [--medium 60] [--rounds 3]

The official way is `requests.get` in 16 processes, without checks; ours computes sha256, syncs and
renames each file. Rounds are interleaved and ratios are those of the medians.

Small files come from a server that does next to nothing, because it shares the cores with what is
measured. A round trip takes 30 ms, as over a network: a request costs one, a new connection one
more. Both ways write them into memory (/dev/shm) unless --folder says where: ext4 takes the more
time to create files the more were just deleted, so a disk would carry over from round to round.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
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

import aiohttp
import requests

from saco_data.model.reasons import Reason
from saco_data.sandbox.http_server import FileServer
from saco_data.transports.base import Policy, Request
from saco_data.transports.http import Http

LATENCY = 0.03  # seconds
BANDWIDTH = 20_000_000  # bytes a second for each connection


def _serve_large(root: Path, pipe: Connection) -> None:
    with FileServer(root, latency=LATENCY, bandwidth=BANDWIDTH) as server:
        pipe.send(server.url)
        pipe.recv()


class _Small(asyncio.Protocol):
    """One connection to files in memory; a GET at a time, anything else in it is ignored."""

    def __init__(self, answers: dict[bytes, list[bytes]]) -> None:
        self.answers = answers
        self.wait = 2 * LATENCY

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        answer = self.answers[data.split(b" ", 2)[1]]
        asyncio.get_running_loop().call_later(self.wait, self.transport.writelines, answer)
        self.wait = LATENCY


def _serve_small(root: Path, pipe: Connection) -> None:
    answers = {}
    for path in root.iterdir():
        head = f'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: {path.stat().st_size}\r\n\r\n'
        answers[f"/{path.name}".encode()] = [head.encode(), path.read_bytes()]

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Small(answers), "127.0.0.1", 0, backlog=1024)
        pipe.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        await loop.run_in_executor(None, pipe.recv)

    asyncio.run(main())


class Server:
    """A server for a folder, in another process."""

    def __init__(self, serve: Callable[[Path, Connection], None], root: Path) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=serve, args=(root, theirs))

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


def one_stream_read(url: str, name: str) -> None:
    with requests.get(f"{url}/{name}", stream=True, timeout=60) as answer:
        for _ in answer.iter_content(1 << 20):
            pass


def read_in_place(url: str, name: str, size: int) -> None:
    with Http(Policy()) as http:
        assert sum(map(len, http.open(f"{url}/{name}").stream())) == size


def bare_loop(url: str, names: list[str], to: Path) -> None:
    """Eight at once, each written, hashed and synced, without any check or name of its own."""

    def write(path: Path, content: bytes) -> str:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return hashlib.sha256(content).hexdigest()

    async def fetch() -> None:
        waiting = iter(names)

        async def work(session: aiohttp.ClientSession) -> None:
            for name in waiting:
                async with session.get(f"{url}/{name}") as answer:
                    content = await answer.read()
                await asyncio.to_thread(write, to / name, content)

        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*(work(session) for _ in range(8)))

    asyncio.run(fetch())


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
    folder: Path,
    sizes: dict[str, int],
    plain: Callable[[Path], Cost],
    fast: Callable[[Path], Cost],
    *,
    floor: float,
    limit: float = 0,
) -> None:
    """Runs both ways in turn and prints medians, their ratio, and every round.

    `floor`: the least ratio that is asked for; `limit`: seconds that the line alone takes.
    """
    costs: dict[str, list[Cost]] = {"plain": [], "ours": []}
    loads = []
    for turn in range(rounds):
        for name, way in (("plain", plain), ("ours", fast)):
            to = folder / f"{len(sizes)}-{name}-{turn}"
            to.mkdir()
            os.sync()  # what one way left to be written must not slow down the other
            loads.append(os.getloadavg()[0])
            costs[name].append(way(to))
            for file, size in sizes.items():
                assert (to / file).stat().st_size == size, file
    seconds = {name: statistics.median(c.seconds for c in each) for name, each in costs.items()}
    print(title)
    for name, each in costs.items():
        cpu = statistics.median(c.cpu for c in each)
        print(
            f"  {name:6} {seconds[name]:7.2f} s  cpu {cpu:6.2f} s"
            f"  peak {max(c.peak for c in each):4.0f} MB"
            f"  rounds {' '.join(f'{c.seconds:.2f}' for c in each)}"
        )
    ratio = seconds["plain"] / seconds["ours"]
    verdict = "ok" if ratio >= floor else "NOT ok"
    print(f"  {verdict}: {ratio:.2f} times as fast (at least {floor:.2f})")
    used = {name: statistics.median(c.cpu for c in each) for name, each in costs.items()}
    print(f"  {used['plain'] / used['ours']:.2f} times less processor time")
    if limit:
        print(
            f"  the line alone takes {limit:.2f} s: ours {seconds['ours'] / limit:.2f} times that"
        )
    ratios = [a.seconds / b.seconds for a, b in zip(costs["plain"], costs["ours"], strict=True)]
    print(
        f"  ratio of medians {ratio:.2f},"
        f" by round {' '.join(f'{ratio:.2f}' for ratio in ratios)};"
        f" load {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--medium", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--concurrency", type=int, default=64)
    memory = Path("/dev/shm")
    parser.add_argument("--folder", type=Path, default=memory if memory.is_dir() else None)
    options = parser.parse_args()
    if options.files:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            small(Path(folder), options.files, options.rounds, options.concurrency)
    if options.megabytes:
        with tempfile.TemporaryDirectory() as folder:
            large(Path(folder), options.megabytes, options.rounds)
    if options.medium:
        with tempfile.TemporaryDirectory() as folder:
            medium(Path(folder), options.medium, options.rounds)


def small(folder: Path, files: int, rounds: int, concurrency: int) -> None:
    """Many small files."""
    dice = random.Random(1)
    sizes = {f"{number}.bin": dice.randint(50_000, 300_000) for number in range(files)}
    root = folder / "small"
    root.mkdir()
    for name, size in sizes.items():
        (root / name).write_bytes(dice.randbytes(size))
    names, policy = list(sizes), Policy(concurrency=concurrency)
    with Server(_serve_small, root) as url:
        compare(
            f"{files} files of 50-300 kB, 30 ms",
            rounds,
            folder,
            sizes,
            lambda to: measured(official, url, names, to),
            lambda to: measured(ours, url, names, to, policy),
            floor=5,
            limit=(files / concurrency + 1) * LATENCY,
        )


def large(folder: Path, megabytes: int, rounds: int) -> None:
    """One large file from a server that throttles each connection."""
    root = folder / "large"
    root.mkdir()
    dice = random.Random(1)
    with (root / "large.bin").open("wb") as file:
        for _ in range(megabytes):
            file.write(dice.randbytes(1 << 20))
    with Server(_serve_large, root) as url:
        compare(
            f"{megabytes} MB, 20 MB/s a connection",
            rounds,
            folder,
            {"large.bin": megabytes << 20},
            lambda to: measured(one_stream, url, "large.bin", to),
            lambda to: measured(ours, url, ["large.bin"], to, Policy()),
            floor=6,
            limit=(megabytes << 20) / BANDWIDTH / Policy().connections_per_file,
        )
        compare(
            f"{megabytes} MB read as an archive, 20 MB/s a connection",
            rounds,
            folder,
            {},
            lambda to: measured(one_stream_read, url, "large.bin"),
            lambda to: measured(read_in_place, url, "large.bin", megabytes << 20),
            floor=6,
            limit=(megabytes << 20) / BANDWIDTH / Policy().connections_per_file,
        )


def medium(folder: Path, files: int, rounds: int) -> None:
    """Files of 2.5 MB, as NGA's, against a loop that does the least that is needed."""
    dice = random.Random(1)
    sizes = {f"{number}.bin": 2_500_000 for number in range(files)}
    root = folder / "medium"
    root.mkdir()
    for name, size in sizes.items():
        (root / name).write_bytes(dice.randbytes(size))
    names = list(sizes)
    with Server(_serve_small, root) as url:
        compare(
            f"{files} files of 2.5 MB against a bare aiohttp loop with sha256 and fsync",
            rounds,
            folder,
            sizes,
            lambda to: measured(bare_loop, url, names, to),
            lambda to: measured(ours, url, names, to, Policy()),
            floor=1 / 1.5,
        )


if __name__ == "__main__":
    main()
