"""The miniature of SA-1B: its config, its shards, and what a run makes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saco_data.config.settings import Settings
from saco_data.model.reasons import Reason
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.miniature import build_subset
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.recipes.sa1b import LINKS, renew
from saco_data.storage import shard_inventory
from saco_data.storage.shard_inventory import ShardInventory
from tests.helpers.folders import config
from tests.helpers.pipeline import products

TRAIN = "sa1b/train"


Members = dict[str, bytes]


def configured(mounts: Mounts, **keys: Any) -> Settings:
    own = {**mounts.keys["collections"]["sa1b"], "path": "sa1b", **keys}
    return config(mounts.folder.parent, collections={"sa1b": own})


def shard(number: int) -> Members:
    """The members of a shard: a picture, then its JSON, four times."""
    raw = build_subset(TRAIN).raw
    return {name: content for name, content in raw.items() if name.startswith(f"sa_{number:06d}/")}


def archive(number: int) -> str:
    return f"sa_{number:06d}.tar"


def expected(*members: Members) -> Members:
    """The products of these members, without inventories."""
    return {
        f"{'images' if name.endswith('.jpg') else 'annotations'}/{Path(name).name}": content
        for each in members
        for name, content in each.items()
        if name.endswith((".jpg", ".json"))
    }


def files_of(settings: Settings) -> Members:
    """All products without inventories."""
    found = products(settings, TRAIN)
    return {name: content for name, content in found.items() if name[-5:] != "jsonl"}


def inventory(settings: Settings, number: int) -> ShardInventory:
    path = settings.subset(TRAIN).images / f"inventories/sa_{number:06d}.jsonl"
    return shard_inventory.read(path)


def damaged(settings: Settings, number: int) -> dict[str, str]:
    """The reasons of the files of a shard that are not used."""
    found = inventory(settings, number).files
    return {name: each.reason for name, each in found.items() if each.reason != Reason.OK}


def offer(mounts: Mounts, number: int, content: bytes) -> None:
    """Publishes another archive for a shard."""
    cdn: LinksCdn = mounts.servers["sa1b"]
    cdn.offer(archive(number), content)
    mounts.write(LINKS, renew(cdn))


def asked(mounts: Mounts, number: int) -> int:
    return mounts.server.requests[f"/sa1b/{archive(number)}"]


def name_of(number: int, at: int) -> str:
    """The id of a picture of a shard."""
    return [Path(name).stem for name in shard(number) if name.endswith(".jpg")][at]
