"""What a node costs the coordinator, and how many nodes are of use for each subset of Silver.

Measured on this machine: the processor time of the coordinator (its scheduler included) for a task
on a cluster of one node, for a task whose picture goes by the shared disk, and for a record in the
ledger; the time of a worker for a picture of each subset's size. Assumed, as options: the cores of
a node, the network of the coordinator, time and frames of a video. From both follows at how many
nodes the source (its polite rates, or the network), the coordinator or the ledger has no more for
another one.

Then the same for whole archives (`cluster_shards.py`).

    python benchmarks/cluster.py /tmp/cluster-bench
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import cluster_shards
import numpy as np
from PIL import Image

from saco_data.catalog.manifest import Manifest
from saco_data.catalog.registry import builtin
from saco_data.executors.cluster.choice import make_cluster
from saco_data.executors.cluster.executor import ClusterExecutor
from saco_data.media import process
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.state.ledger import Ledger

WINDOW = 64  # tasks under way
BYTES_A_PIXEL = 0.33  # of a photograph as JPEG


def cpu_a_task(executor: ClusterExecutor, count: int, *arguments: Any) -> float:
    """Seconds of processor time that this process spends on a task that does nothing."""
    executor.submit(len, *arguments, seconds=60).result()
    before = time.process_time()
    waiting: list[Future[int]] = []
    for _ in range(count):
        waiting.append(executor.submit(len, *arguments, seconds=60))
        if len(waiting) >= WINDOW:
            waiting.pop(0).result()
    for future in waiting:
        future.result()
    return (time.process_time() - before) / count


def cpu_a_record(folder: Path, count: int) -> float:
    """Seconds of processor time for a record, with a commit every half second."""
    outcomes = [
        Outcome("geode", f"{n:032x}.jpg", Reason.OK, "", "folder", 400_000, f"{n:064x}", {"n": n})
        for n in range(count)
    ]
    with Ledger(folder) as ledger:
        before, due = time.process_time(), time.monotonic() + 0.5
        for outcome in outcomes:
            ledger.record([outcome])
            if time.monotonic() > due:
                ledger.commit()
                due = time.monotonic() + 0.5
        ledger.commit()
        return (time.process_time() - before) / count


def seconds_a_picture(folder: Path, manifest: Manifest, count: int) -> float:
    """Seconds of processor time of a worker for a made-up picture of this subset's size."""
    side = int((manifest.raw.typical_bytes / BYTES_A_PIXEL) ** 0.5)
    dice = np.random.default_rng(0)
    coarse = dice.integers(0, 256, (side // 4 + 1, side // 4 + 1, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(coarse).resize((side, side)).save(content, "JPEG", quality=90)
    assert manifest.process in ("copy", "resize")
    size = side if manifest.process == "copy" else side // 2
    before = time.process_time()
    for n in range(count):
        product = Product(f"{n}.jpg", size, size)
        arrival = Arrival(Asset(str(n), (product,)), content.getvalue(), "")
        how = manifest.process
        (outcome,) = process.run(process.Job(manifest.id, how, arrival, folder, None))
        assert outcome.reason is Reason.OK, outcome
    return (time.process_time() - before) / count


def source_rate(manifest: Manifest, gbit: float) -> float:
    """Raw files a second: by the polite rates, and by the network of the coordinator."""
    rates = manifest.rates
    limits = [gbit * 1e9 / 8 / manifest.raw.typical_bytes]
    if rates.requests_per_second:
        limits.append(rates.requests_per_second)
    if any(rates.sleep_seconds):
        limits.append(rates.concurrency / (sum(rates.sleep_seconds) / 2))
    return min(limits)


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--records", type=int, default=50_000)
    parser.add_argument("--cores", type=int, default=8, help="of a node (assumed)")
    parser.add_argument("--gbit", type=float, default=1.0, help="network of the coordinator")
    parser.add_argument("--video-seconds", type=float, default=20.0, help="of a core (assumed)")
    parser.add_argument("--frames", type=int, default=40, help="of a video (assumed)")
    cluster_shards.add_options(parser)
    options = parser.parse_args()
    folder: Path = options.folder
    folder.mkdir(parents=True)
    executor = make_cluster("dask", 1, folder / "cluster")
    try:
        small = cpu_a_task(executor, options.tasks, b"x" * 1000)
        large = cpu_a_task(executor, options.tasks, b"x" * 400_000)
    finally:
        executor.close()
    shards = cluster_shards.measure(folder / "shards")
    record = cpu_a_record(folder / "ledger", options.records)
    print(f"a task: {small * 1e3:.2f} ms of the coordinator's processor")
    print(f"a task with a picture of 400 kB: {large * 1e3:.2f} ms")
    print(f"a record: {record * 1e6:.0f} us, {1 / record:.0f} a second")
    print(f"\nnodes of {options.cores} cores up to which each is enough:")
    print(f"{'subset':<14}{'source':>10}{'coordinator':>13}{'ledger':>10}  first")
    for manifest in builtin().collections["silver"].manifests:
        if manifest.frames:
            seconds, task, records = options.video_seconds, small, options.frames
        else:
            with tempfile.TemporaryDirectory(dir=folder) as products:
                seconds = seconds_a_picture(Path(products), manifest, 20)
            task, records = large, 1
        of_a_node = options.cores / seconds  # raw files a second
        walls = {
            "source": source_rate(manifest, options.gbit) / of_a_node,
            "coordinator": 1 / task / of_a_node,
            "ledger": 1 / record / records / of_a_node,
        }
        first = min(walls, key=lambda name: walls[name])
        print(
            f"{manifest.id:<14}{walls['source']:>10.1f}{walls['coordinator']:>13.1f}"
            f"{walls['ledger']:>10.0f}  {first}"
        )
    cluster_shards.tell(shards, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
