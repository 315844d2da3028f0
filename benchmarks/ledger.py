"""What a ledger of 1.5 million items costs: its size, `saco status`, an idle `saco sync`.

Makes one subset of so many products (hard links to a few files, so that they cost no disk), its
annotation file, and a ledger that knows them all as done. Times are of whole processes. What is
promised is marked `kept` or `BROKEN`; the exit code is 1 if anything is broken.

    python benchmarks/ledger.py /tmp/ledger-bench --items 1500000
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from saco_data.catalog.registry import builtin
from saco_data.config.settings import FILE_NAME, load
from saco_data.model.reasons import Reason
from saco_data.model.records import Outcome
from saco_data.state.ledger import Ledger

SUBSET = "bdd100k"
BATCH = 5000
LINKS = 30_000  # names of one file; a file system allows only so many
# Promised for 1.5 million items.
LEDGER_MB = 400
STATUS_SECONDS = 2.0
IDLE_SYNC_SECONDS = 10.0


def names(count: int) -> list[str]:
    """So many file names, in no order."""
    dice = random.Random(0)
    return [f"{uuid.UUID(int=dice.getrandbits(128))}.jpg" for _ in range(count)]


def outcomes(keys: list[str], size: int, digest: str) -> Iterator[Outcome]:
    """What is known of them: where from, how large, which digest, which ETag."""
    for number, key in enumerate(keys):
        own = hashlib.sha256(key.encode()).hexdigest()
        yield Outcome(
            SUBSET,
            key,
            Reason.OK,
            origin=f"https://images.example.org/iiif/{key[:-4]}/full/full/0/default.jpg",
            bytes=size,
            sha256=digest,
            facts={
                "etag": f'"{own[:32]}"',
                "last_modified": f"Wed, {number % 28 + 1:02d} Oct 2015 07:{number % 60:02d}:00 GMT",
                "content_type": "image/jpeg",
                "size": [8, 8],
            },
        )


def products(folder: Path, keys: list[str], content: bytes) -> None:
    """The product files."""
    folder.mkdir(parents=True)
    for number, key in enumerate(keys):
        if number % LINKS == 0:
            first = folder / key
            first.write_bytes(content)
        else:
            os.link(first, folder / key)


def write_annotations(path: Path, keys: list[str]) -> None:
    """The annotation file, one pair a product."""
    path.parent.mkdir(parents=True)
    with path.open("w") as file:
        file.write('{"info": {}, "categories": [], "annotations": [], "images": [')
        for number, key in enumerate(keys):
            entry = {"id": number, "file_name": key, "text_input": "a", "width": 8, "height": 8}
            file.write((", " if number else "") + json.dumps(entry))
        file.write("]}")


def build(folder: Path, count: int) -> Path:
    """Everything in place; returns the ledger's path."""
    folder.mkdir(parents=True)
    (folder / "raw").mkdir()
    config = folder / FILE_NAME
    config.write_text(
        f"path_annotations: annotations\nsilver_path: silver\n{SUBSET}_raw: raw\njobs: 2\n"
    )
    settings = load(config)
    keys = names(count)
    content = os.urandom(1000)
    products(settings.subset(SUBSET).images, keys, content)
    write_annotations(folder / "annotations" / builtin().find(SUBSET).annotations.file, keys)
    digest = hashlib.sha256(content).hexdigest()
    with Ledger(settings.state) as ledger:
        run = ledger.begin_run("benchmark")
        waiting = list(outcomes(keys, len(content), digest))
        begun = time.monotonic()
        for start in range(0, count, BATCH):
            ledger.record(waiting[start : start + BATCH])
            ledger.commit()
        print(f"record: {count / (time.monotonic() - begun):.0f} items a second")
        ledger.end_run(run, 0, {})
        return ledger.path


def mark(kept: bool | None) -> str:
    """How a row begins; None for what nothing is promised of."""
    return "" if kept is None else "kept:   " if kept else "BROKEN: "


def weighed(path: Path) -> bool:
    """The size of the ledger; returns whether it is as promised."""
    size = path.stat().st_size / 1e6
    print(f"{mark(size < LEDGER_MB)}ledger: {size:.0f} MB of {LEDGER_MB}")
    return size < LEDGER_MB


def timed(folder: Path, *arguments: str, limit: float | None = None) -> bool:
    """One run of the command; returns whether it went well, within the limit if there is one."""
    before = os.times()
    begun = time.monotonic()
    ended = subprocess.run(
        [Path(sys.executable).with_name("saco"), "-q", *arguments, SUBSET],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    took, after = time.monotonic() - begun, os.times()
    cpu = sum(after[2:4]) - sum(before[2:4])
    last = ((ended.stderr or ended.stdout).strip().splitlines() or ["said nothing"])[-1][:160]
    kept = ended.returncode == 0 and (limit is None or took < limit)
    begins = mark(None if kept and limit is None else kept)
    of = f" of {limit:.0f}" if limit is not None else ""
    row = f"{begins}saco {' '.join(arguments)}: {took:.2f} s{of}, {cpu:.2f} s of CPU ({last})"
    print(row, flush=True)
    return kept


def main() -> int:
    """Builds, measures and judges; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a new folder, or one made before")
    parser.add_argument("--items", type=int, default=1_500_000)
    options = parser.parse_args()
    folder: Path = options.folder
    path = folder / "silver" / ".saco" / "ledger.sqlite"
    if not folder.exists():
        path = build(folder, options.items)
    kept = [weighed(path)]
    kept.append(timed(folder, "status", "--json", limit=STATUS_SECONDS))
    # The first reads and plans everything, and notes that nothing was left to do.
    kept.append(timed(folder, "sync"))
    kept += [timed(folder, "sync", limit=IDLE_SYNC_SECONDS) for _ in range(3)]
    kept.append(timed(folder, "status", limit=STATUS_SECONDS))
    kept.append(weighed(path))
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
