"""Pruning a 1.44-million-entry annotation file against json.load + filter + json.dump.

    python -m benchmarks.prune [--entries N] [--rounds N]

Each way runs in a process of its own, so that its peak memory is its own; ways alternate, and the
table shows medians, beside the limit: one read and one synced write of the file. Also times
`status` of a finished subset of that size.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES = 46_421
GONE = 1000


def make(path: Path, entries: int) -> None:
    """An annotation file in the shape of iNaturalist's."""
    with path.open("w") as out:
        out.write('{"info": {}, "images": [')
        for n in range(entries):
            image = {
                "id": 10_000_000 + n,
                "file_name": f"{n % FILES}.jpg",
                "text_input": f"a noun phrase {n % 997}",
                "width": 800,
                "height": 600,
                "queried_category": "3",
                "is_instance_exhaustive": 1,
                "is_pixel_exhaustive": 1,
            }
            out.write((", " if n else "") + json.dumps(image))
        out.write('], "annotations": [')
        for n in range(entries // 29):
            mask = {
                "id": n,
                "image_id": 10_000_000 + n * 29,
                "area": 0.17324327256944444,
                "bbox": [0.0375, 0.5083333253860474, 0.8382812738418579, 0.49166667461395264],
                "segmentation": {"counts": "O100O2N" * 60, "size": [600, 800]},
                "source": "created by SAM3",
            }
            out.write((", " if n else "") + json.dumps(mask))
        out.write('], "categories": []}')


def gone() -> set[str]:
    """The files to leave out."""
    return {f"{n}.jpg" for n in range(0, FILES, FILES // GONE)}


def official(source: Path, to: Path) -> None:
    """What the official scripts do."""
    lost = gone()
    with source.open() as file:
        content = json.load(file)
    images = [image for image in content["images"] if image["file_name"] not in lost]
    ids = {image["id"] for image in images}
    content["images"] = images
    content["annotations"] = [m for m in content["annotations"] if m["image_id"] in ids]
    with to.open("w") as file:
        json.dump(content, file)


def ours(source: Path, to: Path) -> None:
    """What saco prune does."""
    from saco_data.dataset.derive import derive

    lost = gone()
    derive(source, to, lambda name: name not in lost)


def copied(source: Path, to: Path) -> None:
    """The limit: what no way can save."""
    with source.open("rb") as content, to.open("wb") as file:
        shutil.copyfileobj(content, file, 1 << 20)
        os.fsync(file.fileno())


WAYS = {"official": official, "ours": ours, "limit": copied}


def status(folder: Path) -> float:
    """Seconds of `saco status` on a finished subset of that many files, as a user waits for it."""
    from saco_data.config.settings import load
    from saco_data.model.items import SubsetFacts
    from saco_data.model.reasons import Reason
    from saco_data.model.records import Outcome
    from saco_data.state.ledger import Ledger
    from saco_data.storage.files import stamp

    (folder / "CONFIG_FRAMES.yaml").write_text("")
    settings = load(folder / "CONFIG_FRAMES.yaml")
    derived = settings.subset("inaturalist").derived
    derived.parent.mkdir(parents=True)
    derived.write_text("{}")
    with Ledger(settings.state) as ledger:
        ledger.record(
            Outcome("inaturalist", f"{n}.jpg", Reason.OK, bytes=9, sha256="0" * 64)
            for n in range(1_439_051)
        )
        facts = SubsetFacts(files=1_439_051, derived_stamp=stamp(derived), sha256="0" * 64)
        facts.usable, facts.usable_of = [1_439_051, 0], ["0" * 64, 1_439_051]  # as a run counts it
        ledger.set_facts("inaturalist", facts)
    started = time.perf_counter()
    command = [str(Path(sys.executable).with_name("saco")), "status", "inaturalist"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - started


def measure(way: str, source: Path, to: Path) -> tuple[float, float]:
    """Seconds and peak MB of one way in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.prune", "--way", way, str(source), str(to)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, megabytes = map(float, done.stdout.split())
    return seconds, megabytes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_439_051)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", nargs=3, metavar=("WAY", "SOURCE", "TO"))
    options = parser.parse_args()
    if options.way:
        way, source, to = options.way
        started = time.perf_counter()
        WAYS[way](Path(source), Path(to))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(time.perf_counter() - started, peak)
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder / "source.json", options.entries)
        runs: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for _ in range(options.rounds):
            for way, found in runs.items():
                found.append(measure(way, folder / "source.json", folder / f"{way}.json"))
        same = json.loads((folder / "official.json").read_text()) == json.loads(
            (folder / "ours.json").read_text()
        )
        print(f"{options.entries} entries, equal results: {same}\n\nway        seconds  peak MB")
        medians = {}
        for way, found in runs.items():
            medians[way] = [statistics.median(column) for column in zip(*found, strict=True)]
            print(f"{way:10} {medians[way][0]:7.2f} {medians[way][1]:8.0f}")
        ratios = [medians["official"][0] / medians["ours"][0]]
        ratios.append(medians["ours"][1] / medians["official"][1])
        print(f"\nours is {ratios[0]:.1f} times as fast with {ratios[1]:.2f} of the memory")
        print(f"and takes {medians['ours'][0] / medians['limit'][0]:.1f} times as long as a copy")
        print(f"status of a finished subset of 1,439,051 files: {status(folder):.2f} s")


if __name__ == "__main__":
    main()
