"""A few members of a huge tar.gz by a seek index, against streaming it from its beginning.

    python -m benchmarks.seek_index [--members 800] [--rounds 3]

The archive holds JPEGs of about 200 kB, packed by GNU gzip -6; 7 % are wanted. The server is a
process of its own and sends 20 MB/s in all, 60 ms after each request. Each way runs in a process of
its own, in turn; medians count. The limit beside them is the line: the wanted bytes at 20 MB/s.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import re
import resource
import statistics
import subprocess
import tarfile
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from saco_data.storage import files
from saco_data.transports.archive import members
from saco_data.transports.base import Policy
from saco_data.transports.http import Http
from saco_data.transports.seek_index import rows as index
from saco_data.transports.seek_index.entering import take_out
from saco_data.transports.seek_index.fetching import take_members
from saco_data.transports.seek_index.recorder import Recorder

RATE, LATENCY = 20_000_000, 0.06  # bytes a second of the server in all; seconds
SHARE = 14  # one member in so many is wanted: 7 %
CONNECTIONS = 28


def is_wanted(name: str) -> bool:
    return int(name[-36:-4], 16) // 7919 % SHARE == 5


def jpegs(count: int) -> list[bytes]:
    """JPEGs of 800 x 600 with detail that differs from place to place."""
    draw = np.random.default_rng(1)
    made = []
    for _ in range(count):
        small = Image.fromarray(draw.integers(0, 256, (75, 100, 3), np.uint8))
        picture = small.resize((800, 600), Image.Resampling.BICUBIC)
        grain = Image.effect_noise((800, 600), float(draw.uniform(30, 75))).convert("RGB")
        grain = grain.filter(ImageFilter.GaussianBlur(0.4))
        out = io.BytesIO()
        Image.blend(picture, grain, 0.5).save(out, "JPEG", quality=int(draw.integers(80, 92)))
        made.append(out.getvalue())
    return made


def build(path: Path, count: int) -> None:
    pool = jpegs(64)
    packing = subprocess.Popen(["gzip", "-6nc"], stdin=subprocess.PIPE, stdout=path.open("wb"))
    assert packing.stdin
    with tarfile.open(fileobj=packing.stdin, mode="w|") as tar:
        for number in range(count):
            name = f"train_val_images/Aves/Parus major {number % 53}/{number * 7919:032x}.jpg"
            info = tarfile.TarInfo(name)
            info.size = len(pool[number % 64])
            tar.addfile(info, io.BytesIO(pool[number % 64]))
    packing.stdin.close()
    assert packing.wait() == 0


def serve(path: Path, pipe: Connection) -> None:
    """Serves one file, with ranges; all connections share the line."""
    content = path.read_bytes()
    free = 0.0  # when the line is free again
    sent = requests = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal free, sent, requests
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                requests += 1
                asked = re.search(rb"(?i)range: bytes=(\d+)-(\d*)", head)
                start = int(asked[1]) if asked else 0
                stop = int(asked[2]) + 1 if asked and asked[2] else len(content)
                await asyncio.sleep(LATENCY)
                writer.write(
                    f'HTTP/1.1 {206 if asked else 200} OK\r\nETag: "1"\r\n'
                    f"Content-Range: bytes {start}-{stop - 1}/{len(content)}\r\n"
                    f"Content-Length: {stop - start}\r\n\r\n".encode()
                )
                for at in range(start, stop, 1 << 16):
                    piece = content[at : min(at + (1 << 16), stop)]
                    now = asyncio.get_running_loop().time()
                    free = max(free, now - 0.02) + len(piece) / RATE
                    await asyncio.sleep(free - now)
                    writer.write(piece)
                    await writer.drain()
                    sent += len(piece)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        nonlocal sent, requests
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        pipe.send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/a.tar.gz")
        while await asyncio.get_running_loop().run_in_executor(None, pipe.recv):
            pipe.send((sent, requests))
            sent = requests = 0

    asyncio.run(main())


def stream(url: str, folder: Path, _: list[index.Row]) -> None:
    with Http(Policy()) as http:
        for member in members(http.open(url), is_wanted):
            member.save(folder / Path(member.name).name)


def seek(url: str, folder: Path, rows: list[index.Row]) -> None:
    def save(row: index.Row, content: bytes) -> None:
        files.write_atomic(folder / Path(row.name).name, content)

    with Http(Policy(concurrency=CONNECTIONS)) as http:
        remote = http.open(url)
        remote.require_version()
        never = threading.Event()
        for _ in take_members(remote, rows, save, connections=CONNECTIONS, stop=never):
            pass


def record(path: Path) -> tuple[Recorder, float]:
    """The recorder, and the seconds of processor that reading the archive took."""
    before = time.process_time()
    recorder = Recorder()
    for _ in members(path, is_wanted, recorder=recorder):
        pass
    return recorder, time.process_time() - before


def inflate(path: Path) -> float:
    """The seconds of processor that plain zlib takes for the archive."""
    before, inflater = time.process_time(), zlib.decompressobj(31)
    with path.open("rb") as file:
        while piece := file.read(1 << 18):
            inflater.decompress(piece)
    return time.process_time() - before


def _child(work: Callable[..., Any], arguments: tuple[Any, ...], pipe: Connection) -> None:
    started = time.perf_counter()
    try:
        made = work(*arguments)
    except BaseException:
        pipe.close()  # the parent must not wait
        raise
    seconds = time.perf_counter() - started
    pipe.send((made, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def alone(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float, float]:
    """What `work` returns, its seconds and peak MiB, in a fresh process."""
    context = get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_child, args=(work, arguments, theirs))
    process.start()
    theirs.close()
    done: tuple[Any, float, float] = mine.recv()
    process.join()
    return done


def judge(what: str, value: float, unit: str, least: float | None, most: float | None) -> None:
    bound = f"at most {most}" if least is None else f"at least {least}"
    kept = value <= most if most is not None else value >= (least or 0)
    print(f"{'ok ' if kept else 'NOT'} {what}: {value:.3f}{unit} ({bound})", flush=True)


def measure_building(path: Path) -> list[index.Row]:
    plain, building = [], []
    for _ in range(3):
        plain.append(alone(inflate, path)[0])
        (recorder, seconds), _, peak = alone(record, path)
        building.append(seconds)
    judge(
        "building, times the processor time of plain zlib",
        statistics.median(building) / statistics.median(plain),
        "",
        None,
        3,
    )
    judge("building, peak memory", peak, " MiB", None, 100)
    rows: list[index.Row] = recorder.rows
    file = path.with_name("index")
    about = index.Archive(index.FORMAT, path.name, "", recorder.read, "0" * 32, "", len(rows), "")
    index.write(file, [(about, rows)])
    judge("index, bytes a row", file.stat().st_size / len(rows), "", None, 130)
    data, before = path.read_bytes(), time.process_time()
    for row in rows:
        take_out(row, data[row.start : row.stop])
    judge("entering, ms a member", (time.process_time() - before) / len(rows) * 1e3, "", None, 1.5)
    return rows


def measure_fetching(path: Path, rows: list[index.Row], rounds: int) -> None:
    context = get_context("spawn")
    mine, theirs = context.Pipe()
    server = context.Process(target=serve, args=(path, theirs))
    server.start()
    url = mine.recv()
    seconds: dict[str, list[float]] = {"stream": [], "seek": []}
    for turn in range(rounds):
        for name, way in (("stream", stream), ("seek", seek)):
            folder = path.with_name(f"{name}{turn}")
            folder.mkdir()
            _, took, _ = alone(way, url, folder, rows)
            mine.send(True)
            sent, requests = mine.recv()
            seconds[name].append(took)
            print(f"    {name}: {took:.2f} s, {sent / 1e6:.1f} MB, {requests} requests", flush=True)
            assert len(list(folder.iterdir())) == len(rows)
    mine.send(None)
    server.join()
    wanted = sum(row.size for row in rows)
    judge("fetched, times what is wanted", sent / wanted, "", None, 1.10)
    judge("fetched, share of the archive", sent / path.stat().st_size, "", None, 0.08)
    slow, fast = (statistics.median(each) for each in seconds.values())
    judge("against streaming, times as fast", slow / fast, "", 5, None)
    limit = wanted / RATE
    print(f"    the line alone takes {limit:.2f} s for the wanted bytes: {fast / limit:.2f} times")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=800)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder, "a.tar.gz")
        build(path, options.members)
        rows = measure_building(path)
        size, wanted = path.stat().st_size, sum(row.size for row in rows)
        print(
            f"    {options.members} members, {size / 1e6:.0f} MB; {len(rows)} wanted, "
            f"{wanted / 1e6:.1f} MB ({wanted / size:.1%})"
        )
        measure_fetching(path, rows, options.rounds)


if __name__ == "__main__":
    main()
