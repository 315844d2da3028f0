"""What a whole archive costs the coordinator, for `cluster.py`: SA-V train, SA-1B, Objects365.

Measured: runs of few and of more small shards of SA-1B by a cluster of one node; their difference,
a shard, is the coordinator's processor time for one with a single record. Records, the listing of
SA-V, the reading of an inventory and a worker's checks are measured by themselves.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image
from pycocotools import mask as coding

from saco_data.catalog.registry import builtin
from saco_data.config.settings import FILE_NAME, load
from saco_data.dataset import listing
from saco_data.dataset.listing import Found
from saco_data.engine import session
from saco_data.engine.events import Silent
from saco_data.executors.cluster.choice import make_cluster
from saco_data.media.content import check_content
from saco_data.model.reasons import Reason
from saco_data.model.records import Outcome
from saco_data.sandbox.packing import pack_tar
from saco_data.state.ledger import Ledger
from saco_data.storage import shard_inventory
from saco_data.storage.inventory import Entry

FEW, MORE = 10, 50
PICTURES, MASKS = 11_186, 100  # of a shard of SA-1B, and of a picture


@dataclass(frozen=True)
class Archives:
    """A sharded subset: how many archives, bytes and records of one; a worker's seconds for it."""

    name: str
    count: int
    bytes: float
    records: int
    seconds: float = 0.0
    is_listed: bool = False


@dataclass(frozen=True)
class Shards:
    """What was measured, in seconds of processor time.

    `shard`: the coordinator's for a shard with one record. `record`: for a further record.
    `inventory`: to read one of SA-1B. `listing`: to add a shard of SA-V to a half full listing.
    `picture`, `text`: a worker's check of a picture of SA-1B and of its annotations.
    """

    shard: float
    record: float
    inventory: float
    listing: float
    picture: float
    text: float


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of `tell`."""
    parser.add_argument("--node-gbit", type=float, default=1.0, help="network of a node")
    parser.add_argument("--source-gbit", type=float, default=20.0, help="of a source, in all")


def measure(folder: Path) -> Shards:
    """Measures in a new folder."""
    folder.mkdir(parents=True)
    few, more = (_cpu_of_run(folder / f"{count}", count) for count in (FEW, MORE))
    picture, text = _make_picture(), _make_text()
    return Shards(
        (more - few) / (MORE - FEW),
        _cpu_a_record(folder / "ledger"),
        _cpu_of_inventory(folder / "sa_000000.jsonl"),
        _cpu_of_listing(folder / "listing.json"),
        _cpu_of(lambda: check_content(picture, "sa_1.jpg"), 20),
        _cpu_of(lambda: check_content(text, "sa_1.json"), 20),
    )


def tell(found: Shards, options: argparse.Namespace) -> None:
    """Prints what was measured, and at how many nodes what is the wall."""
    sav, o365 = builtin().find("sa-v/train"), builtin().find("o365/val")
    sa1b = builtin().find("sa1b/train")
    files, pictures = sav.annotations.files or 0, o365.annotations.files or 0
    shards = sav.raw.shards or 1
    check = (found.picture + found.text) * PICTURES
    print(f"\na shard: {found.shard * 1e3:.1f} ms of the coordinator's processor, with one record")
    print(
        f"a further record of a shard: {found.record * 1e6:.0f} us, {1 / found.record:.0f} a second"
    )
    print(
        f"reading an inventory of {PICTURES} pictures: {found.inventory * 1e3:.0f} ms (no run does)"
    )
    print(f"adding a shard of SA-V to a half full listing: {found.listing * 1e3:.0f} ms")
    print(
        f"a worker, picture of SA-1B: {found.picture * 1e3:.1f} ms, "
        f"its JSON: {found.text * 1e3:.1f} ms"
    )
    print(
        f"\nnodes of {options.cores} cores and {options.node_gbit} Gbit/s up to which each is "
        "enough:"
    )
    print(f"{'subset':<12}{'source':>8}{'archives':>10}{'coordinator':>13}{'ledger':>9}  first")
    for each in (
        Archives(sav.id, shards, (sav.raw.bytes or 0) / shards, files // shards, is_listed=True),
        Archives(sa1b.id, 1000, (sa1b.raw.bytes or 0) / 1000, 1, check),
        Archives(o365.id, 44, (o365.raw.bytes or 0) / 44, pictures // 44),
    ):
        node = max(each.bytes * 8 / options.node_gbit / 1e9, each.seconds / options.cores)
        records = found.record * (each.records - 1)
        own = found.shard + records + (found.listing if each.is_listed else 0)
        walls = {
            "source": options.source_gbit * 1e9 / 8 / (each.bytes / node),
            "archives": float(each.count),
            "coordinator": node / own,
            "ledger": node / (found.record * each.records),
        }
        first = min(walls, key=lambda name: walls[name])
        print(
            f"{each.name:<12}{walls['source']:>8.0f}{walls['archives']:>10.0f}"
            f"{walls['coordinator']:>13.0f}{walls['ledger']:>9.0f}  {first}"
        )
    limits = ", ".join(f"{each.id} {each.rates.concurrency}" for each in (sav, sa1b, o365))
    print(f"Without `limits` in the config, a source gives so many archives at a time: {limits}.")


def _cpu_of_run(folder: Path, count: int) -> float:
    """The processor time of a coordinator for a run of so many small shards."""
    tars = folder / "tars"
    tars.mkdir(parents=True)
    image = io.BytesIO()
    Image.new("RGB", (32, 24), "teal").save(image, "JPEG")
    for number in range(count):
        name = f"sa_{number + 1}"
        content = {
            f"{name}.jpg": image.getvalue(),
            f"{name}.json": _describe(number + 1, 32, 24, 1),
        }
        (tars / f"sa_{number:06d}.tar").write_bytes(pack_tar(content))
    own = {"path": "sa1b", "raw": {"train": "tars"}, "shards": [f"0-{count - 1}"]}
    config = folder / FILE_NAME
    config.write_text(yaml.safe_dump({"silver_path": "silver", "collections": {"sa1b": own}}))
    executor = make_cluster("dask", 1, folder / "cluster")
    try:
        executor.submit(len, b"", seconds=60).result()
        before = time.process_time()
        finished = session.go(
            load(config), ["sa1b/train"], "benchmark", Silent(), executor=executor
        )
        used = time.process_time() - before
    finally:
        executor.close()
    assert finished.code == 0, finished
    return used


def _cpu_a_record(folder: Path, count: int = 100_000, a_shard: int = 2_500) -> float:
    """Seconds for a record, where those of a shard come together."""
    outcomes = [
        Outcome("sa-v/train", f"videos/sav_{n:06d}.mp4", Reason.OK, "", "", 9_000_000, f"{n:064x}")
        for n in range(count)
    ]
    with Ledger(folder) as ledger:
        before = time.process_time()
        for first in range(0, count, a_shard):
            ledger.record(outcomes[first : first + a_shard])
            ledger.commit()
        return (time.process_time() - before) / count


def _cpu_of_inventory(path: Path) -> float:
    def entries() -> Iterator[Entry]:
        for at in range(PICTURES):
            yield Entry(f"images/sa_{at}.jpg", "ok", 900_000, f"{at:064x}")
            facts = {"masks": MASKS}
            yield Entry(f"annotations/sa_{at}.json", "ok", 60_000, f"{at:064x}", facts=facts)

    made = shard_inventory.make("sa_000000.tar", "all", entries(), "images")
    path.write_bytes(shard_inventory.encode(made))
    return _cpu_of(lambda: shard_inventory.read(path), 5)


def _cpu_of_listing(path: Path) -> float:
    sav = builtin().find("sa-v/train")
    shards = sav.raw.shards or 1
    each = (sav.annotations.files or 0) // shards
    known = {
        f"sav_{shard:03d}.tar": Found({f"videos/sav_{shard:03d}{n:05d}.mp4" for n in range(each)})
        for shard in range(shards // 2)
    }
    listing.write(path, known)
    found = Found({f"videos/sav_055{n:05d}.mp4" for n in range(each)})
    return _cpu_of(lambda: listing.add(path, "sav_055.tar", found), 3)


def _cpu_of(work: Any, times: int) -> float:
    work()
    before = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - before) / times


def _make_picture() -> bytes:
    """A made-up picture of 2250 x 1500 pixels as JPEG."""
    coarse = np.random.default_rng(0).integers(0, 256, (188, 282, 3), dtype=np.uint8)
    content = io.BytesIO()
    Image.fromarray(coarse).resize((2250, 1500)).save(content, "JPEG", quality=85)
    return content.getvalue()


def _make_text() -> bytes:
    return _describe(1, 2250, 1500, MASKS)


def _describe(number: int, width: int, height: int, masks: int) -> bytes:
    """The annotations of a picture: discs, each in another place."""
    rows, columns = np.ogrid[:height, :width]
    annotations = []
    for at in range(masks):
        digest = hashlib.sha256(f"{number} {at}".encode()).digest()
        x, y = digest[0] * width // 256, digest[1] * height // 256
        disc = (rows - y) ** 2 + (columns - x) ** 2 < (height // 8) ** 2
        packed = coding.encode(np.asfortranarray(disc.astype(np.uint8)))
        counts = packed["counts"]
        assert isinstance(counts, bytes)
        annotations.append(
            {
                "id": at,
                "segmentation": {"size": [height, width], "counts": counts.decode()},
                "bbox": [float(value) for value in coding.toBbox(packed)],
                "area": int(disc.sum()),
                "predicted_iou": 0.9,
                "stability_score": 0.95,
                "crop_box": [0, 0, width, height],
                "point_coords": [[x, y]],
            }
        )
    image = {"image_id": number, "width": width, "height": height, "file_name": f"sa_{number}.jpg"}
    return json.dumps({"image": image, "annotations": annotations}).encode()
