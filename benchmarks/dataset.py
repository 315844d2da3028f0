"""`saco.load` on 1.44 million image-NPs: processor seconds and memory, first time and later.

    python benchmarks/dataset.py                  # the shape of iNaturalist: 1 GB of disk
    python benchmarks/dataset.py --scale 0.02

Each step is a process of its own. The limit beside them: one pass of a JSON parser over the file
that makes no object of any entry. Memory is the peak of what the process holds itself (RssAnon);
pages of the annotation file that the system keeps beside it are not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
from evaluate import SHAPES, make

import saco_data as saco

STEPS = ("load, first time", "load, later", "iterate over items", "iterate over pictures")
LIMIT = "one pass of JSON"


def anonymous() -> float:
    """What this process holds now, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1000


def step(name: str, root: Path) -> dict[str, float]:
    """Carries out one of the steps; wall and processor seconds, MB."""
    most, watching = [0.0], threading.Event()

    def watch() -> None:
        while not watching.wait(0.02):
            most[0] = max(most[0], anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    began, cpu = time.perf_counter(), time.process_time()
    if name == LIMIT:
        assert msgspec.json.decode(annotation_file(root).read_bytes(), type=dict[str, msgspec.Raw])
    else:
        read(name, root)
    taken = {"wall": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    watching.set()
    watcher.join()
    return {**taken, "MB": most[0]}


def read(name: str, root: Path) -> None:
    """Loads the copy, and iterates over what the name of the step says."""
    subset = saco.load(root)["inaturalist"]
    assert len(subset) and subset[len(subset) // 2].phrase
    if "items" in name:
        assert all(item.phrase for item in subset)
    if "pictures" in name:
        assert all(picture.items for picture in subset.pictures())


def annotation_file(root: Path) -> Path:
    """The annotation file of the copy."""
    return root / "annotations" / "silver_inaturalist_merged_test.json"


def main() -> None:
    """Makes the file and prints a line for each step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="part of the full size")
    parser.add_argument("--step", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(json.dumps(step(given.step[0], Path(given.step[1]))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "annotations").mkdir()
        truth, found = make(root, SHAPES["iNaturalist-like"], given.scale)
        found.unlink()
        truth = truth.replace(annotation_file(root))
        print(f"{truth.stat().st_size / 1e6:.0f} MB")
        time.sleep(2.5)  # files that were just written are not remembered
        environment = {**os.environ, "XDG_CACHE_HOME": str(root / "cache")}
        for name in (*STEPS, LIMIT):
            command = [sys.executable, __file__, "--step", name, str(root)]
            done = subprocess.run(
                command, env=environment, check=True, capture_output=True, text=True
            )
            took = json.loads(done.stdout)
            seconds = f"{took['wall']:6.2f} s wall {took['cpu']:6.2f} s cpu"
            print(f"{name:22} {seconds} {took['MB']:6.0f} MB")


if __name__ == "__main__":
    main()
