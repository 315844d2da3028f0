"""Picking a few members of a .tar.gz over HTTP, against download + extract + copy.

    python -m benchmarks.archive [--gigabytes 1.5] [--content noise|photos] [--rounds 3]

Both sides run in processes of their own against one server process, taking turns; medians count.
`noise`: incompressible bytes, which gzip stores; `photos`: bytes as photographs have them, which
gzip codes for a gain of half a percent, so that inflating them is what takes the time. Beside them
stands the limit: to receive the archive and to inflate it, both once, and to keep nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import http.server
import io
import json
import os
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SHARE = 14  # one member in so many is wanted: 7 %


def wanted(name: str) -> bool:
    return int(Path(name).stem) % SHARE == 0


def build(path: Path, gigabytes: float, content: str) -> int:
    """A .tar.gz of pictures of 150 to 400 kB; returns how many."""
    draw = random.Random(1)
    if content == "noise":
        pictures = [draw.randbytes(draw.randrange(150_000, 400_000)) for _ in range(64)]
    else:
        # gzip gains 0.6 % here, as it does with Pillow's JPEG at quality 75.
        weights = [draw.uniform(0.4, 1.6) for _ in range(256)]
        pictures = [
            bytes(draw.choices(range(256), weights, k=draw.randrange(150_000, 400_000)))
            for _ in range(64)
        ]
    done = number = 0
    packed = gzip.GzipFile(path, "wb", compresslevel=6 if content == "photos" else 1)
    with packed, tarfile.open(fileobj=packed, mode="w") as tar:
        while done < gigabytes * 1e9:
            info = tarfile.TarInfo(f"train/species {number % 500:03d}/{number:07d}.jpg")
            data = pictures[number % 64]
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            done += len(data)
            number += 1
    return number


class Files(http.server.BaseHTTPRequestHandler):
    """One file, with ranges; the kernel does the sending."""

    protocol_version = "HTTP/1.1"
    path_served = Path()

    def do_GET(self) -> None:
        with self.path_served.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            at = int(asked[1]) if asked else 0
            stop = min(int(asked[2]) + 1, size) if asked and asked[2] else size
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {at}-{stop - 1}/{size}")
            self.send_header("Content-Length", str(stop - at))
            self.send_header("ETag", '"one"')
            self.end_headers()
            self.wfile.flush()
            # A client that has seen enough hangs up.
            with contextlib.suppress(ConnectionError):
                while at < stop:
                    at += os.sendfile(self.connection.fileno(), file.fileno(), at, stop - at)
                return
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Quiet."""


def serve(path: Path) -> None:
    Files.path_served = path
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files) as server:
        print(server.server_address[1], flush=True)
        server.serve_forever()


def official(url: str, folder: Path) -> None:
    """As the official script goes about it: names are looked at first, so it inflates twice."""
    with urllib.request.urlopen(url) as answer, (folder / "a.tgz").open("wb") as out:
        shutil.copyfileobj(answer, out, 1 << 20)
    with tarfile.open(folder / "a.tgz", "r:gz") as tar:
        safe = [member for member in tar.getmembers() if ".." not in member.name]
        tar.extractall(folder / "all", safe, filter="data")
    (folder / "picked").mkdir()
    for path in (folder / "all").rglob("*.jpg"):
        if wanted(path.name):
            shutil.copy2(path, folder / "picked")


def streamed(url: str, folder: Path) -> None:
    from saco_data.storage import files
    from saco_data.transports.archive import members
    from saco_data.transports.base import Policy
    from saco_data.transports.http import Http

    with Http(Policy()) as client:
        place = client.open(url)
        picked = members(place, wanted, checkpoint=folder / "index")
        room = threading.Semaphore(16)
        with ThreadPoolExecutor(4) as pool:
            # Each file is synced to disk: the stream does not wait for that.
            for member in picked:
                room.acquire()
                path = folder / "picked" / Path(member.name).name
                done = pool.submit(files.write_if_changed, path, member.read())
                done.add_done_callback(lambda _: room.release())


def inflated_once(url: str, folder: Path) -> None:
    """The limit: what no way that reads the whole archive can save."""
    from zlib_ng import zlib_ng

    (folder / "picked").mkdir()
    inflater = zlib_ng.decompressobj(31)
    with urllib.request.urlopen(url) as answer:
        while piece := answer.read(1 << 20):
            inflater.decompress(piece)


WAYS = {"download + extract + copy": official, "streamed": streamed, "limit": inflated_once}


def measure(way: str, url: str, scratch: Path) -> dict[str, float]:
    """Runs one way in a process of its own."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    try:
        out = subprocess.run(
            [sys.executable, "-P", __file__, "--way", way, url, str(folder)],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
        answer: dict[str, float] = json.loads(out)
        return answer
    finally:
        shutil.rmtree(folder)
        os.sync()


def run_way(way: str, url: str, folder: Path) -> None:
    started = time.perf_counter()
    WAYS[way](url, folder)
    seconds = time.perf_counter() - started
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    picked = list((folder / "picked").iterdir())
    usage = resource.getrusage(resource.RUSAGE_SELF)
    answer = {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "written": sum(sizes),
        "picked": len(picked),
        "peak_mib": round(usage.ru_maxrss / 1024),
    }
    print(json.dumps(answer))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.5)
    parser.add_argument("--content", choices=["noise", "photos"], default="noise")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scratch", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--way", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
    elif options.way:
        run_way(options.way[0], options.way[1], Path(options.way[2]))
    else:
        compare(options.gigabytes, options.content, options.rounds, options.scratch)


def compare(gigabytes: float, content: str, rounds: int, scratch: Path) -> None:
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        archive = Path(folder, "a.tar.gz")
        count = build(archive, gigabytes, content)
        print(f"{count} members, {archive.stat().st_size / 1e9:.2f} GB, {content}")
        server = subprocess.Popen(
            [sys.executable, "-P", __file__, "--serve", str(archive)], stdout=subprocess.PIPE
        )
        try:
            assert server.stdout
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/a.tar.gz"
            found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way, results in found.items():
                    results.append(measure(way, url, Path(folder)))
                    print(f"  {way:26s}", json.dumps(results[-1]), flush=True)
        finally:
            server.kill()
            server.wait()
    old, new, limit = (
        {key: statistics.median(one[key] for one in results) for key in results[0]}
        for results in found.values()
    )
    assert old["picked"] == new["picked"] == -(-count // SHARE)
    print(f"{old['seconds'] / new['seconds']:.1f} times as fast (at least 3.3)")
    print(f"{old['cpu_seconds'] / new['cpu_seconds']:.1f} times less processor time")
    print(f"{new['seconds'] / limit['seconds']:.1f} times the time of one download and inflation")
    print(f"{new['cpu_seconds'] / limit['cpu_seconds']:.1f} times its processor time")
    print(f"{old['written'] / new['written']:.1f} times fewer bytes written (at least 25)")
    print(f"{new['peak_mib']:.0f} MiB peak memory (below 200)")


if __name__ == "__main__":
    main()
