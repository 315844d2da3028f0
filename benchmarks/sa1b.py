"""What all of SA-1B costs once it is there: `plan`, `status`, `report`, idle `prepare` and `sync`.

Makes the inventories of so many shards as they are after a whole run (11,186 pictures and as many
annotation files each, with made-up digests; 3 GB for 1,000 shards), a ledger that knows the shards
as done, and the files of the few shards that `sync` verifies. Seconds are processor time of whole
processes. What is promised is marked `kept` or `BROKEN`; the exit code is 1 if anything is broken.

    python benchmarks/sa1b.py /tmp/sa1b-bench
"""

from __future__ import annotations

import argparse
import hashlib
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from saco_data.config.settings import FILE_NAME, Settings, load
from saco_data.engine.subset import bind_one
from saco_data.engine.sync import SHARDS
from saco_data.model.reasons import Reason
from saco_data.model.records import Outcome
from saco_data.state.ledger import Ledger
from saco_data.storage import shard_inventory
from saco_data.storage.inventory import Entry

SUBSET = "sa1b/train"
PICTURES = 11_186  # of a shard
MASKS = 100  # of a picture
STATUS_SECONDS = 2.0


def make_inventory(number: int, images: Path, *, with_files: bool) -> shard_inventory.Header:
    """Writes the inventory of a shard, and its files (of a few bytes) if asked; returns its head.

    `images`: the folder of the products.
    """

    def entries() -> Iterator[Entry]:
        for at in range(number * PICTURES + 1, (number + 1) * PICTURES + 1):
            for name in (f"images/sa_{at}.jpg", f"annotations/sa_{at}.json"):
                size, digest = 900_000, f"{at:064x}"
                if with_files:
                    content = name.encode()
                    (images / name).write_bytes(content)
                    size, digest = len(content), hashlib.sha256(content).hexdigest()
                facts = {} if name.endswith(".jpg") else {"masks": MASKS}
                yield Entry(name, "ok", size, digest, facts=facts)

    made = shard_inventory.make(f"sa_{number:06d}.tar", "all", entries(), "images")
    path = images / f"inventories/sa_{number:06d}.jsonl"
    path.write_bytes(shard_inventory.encode(made))
    return made.header


def fill(settings: Settings, shards: int) -> None:
    """Inventories, files and ledger, as a run of all these shards leaves them."""
    subset = bind_one(settings, SUBSET)
    images = subset.config.images
    for name in ("inventories", "images", "annotations"):
        (images / name).mkdir(parents=True, exist_ok=True)
    with Ledger(settings.state) as ledger:
        for number in range(shards):
            header = make_inventory(number, images, with_files=number < SHARDS)
            name = f"inventories/sa_{number:06d}.jsonl"
            content = (images / name).read_bytes()
            outcome = Outcome(
                SUBSET,
                name,
                Reason.OK,
                origin=header.archive,
                bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                facts=header.facts(),
            )
            ledger.record([outcome])
        ledger.commit()


def measure(settings: Settings, *words: str) -> tuple[float, float]:
    """Seconds of processor time, and of the clock, of a command of this tool."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    command = [sys.executable, "-m", "saco_data", "-q", "--config", str(settings.file), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {done.returncode}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, time.monotonic() - began


def main() -> int:
    """Measures and prints; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--shards", type=int, default=1000)
    options = parser.parse_args()
    folder: Path = options.folder
    (folder / "tars").mkdir(parents=True)
    config = folder / FILE_NAME
    config.write_text(
        "path_annotations: annotations\nsilver_path: silver\njobs: 2\ncollections:\n"
        f"  sa1b: {{path: sa1b, raw: {{train: tars}}, shards: ['0-{options.shards - 1}']}}\n"
    )
    settings = load(config)
    began = time.monotonic()
    fill(settings, options.shards)
    own = settings.subset(SUBSET).watched
    inventories = sum(path.stat().st_size for path in own.iterdir())
    print(
        f"{options.shards} shards of {PICTURES} pictures, made in {time.monotonic() - began:.0f} s"
    )
    print(f"inventories: {inventories / 1e6:.0f} MB")
    print(f"first prepare: {measure(settings, 'prepare', SUBSET)[0]:.2f} s of processor time")
    ledger = sum(path.stat().st_size for path in settings.state.glob("ledger.sqlite*"))
    print(f"ledger: {ledger / 1e6:.2f} MB")
    is_broken = False
    for words in (("status",), ("plan",), ("prepare",), ("sync",), ("report",)):
        used, clock = measure(settings, *words, SUBSET)
        verdict = ""
        if words == ("status",):
            is_broken = used >= STATUS_SECONDS
            verdict = f"  {'BROKEN' if is_broken else 'kept'}: below {STATUS_SECONDS:.0f} s"
        print(f"{words[0]:<8}{used:6.2f} s of processor time, {clock:6.2f} s{verdict}")
    return int(is_broken)


if __name__ == "__main__":
    sys.exit(main())
