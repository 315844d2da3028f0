"""What a store holds of one subset: one object, written last, with a line for each product.

The first line is about the subset, each further one about a product: its name, why it is as it is,
and for a finished one its size, sha256, and tag in the store. A listing of the store gives sizes
and tags for nothing, so that it proves a thousand products a request. No line holds an address or
a message of a source: they may hold secrets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from saco_data.model.errors import Incomplete
from saco_data.model.items import Item
from saco_data.model.reasons import Reason, State
from saco_data.storage.store import Stamp, Store

FOLDER = ".saco/inventory"
VERSION = 1


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One product. `size`, `sha256` and `tag` where it is finished; times in epoch seconds.

    `pictures`: the objects of a product that is a folder, which has no tag itself.
    """

    name: str
    reason: str
    size: int | None = None
    sha256: str | None = None
    tag: str = ""
    facts: dict[str, Any] = {}
    since: int = 0
    gone_first: int | None = None
    gone_last: int | None = None
    gone_confirmed: bool = False
    pictures: list[Entry] = []

    @property
    def stamp(self) -> Stamp | None:
        """What the store gave for it; None where it is not finished."""
        if self.reason != Reason.OK or self.size is None:
            return None
        return Stamp(self.size, self.tag)


class Header(msgspec.Struct):
    """What is known of the whole subset.

    `folder`: of its products in the store. `files`: annotation files there. `total`: products that
    the annotations name. `image_nps`, `masks`: in all, and kept; `usable`: of both, those whose
    picture is there. `annotations_sha256`: of the annotation file as downloaded.
    """

    version: int
    subset: str
    folder: str
    made_by: str
    annotations_sha256: str
    total: int
    image_nps: tuple[int, int]
    masks: tuple[int, int]
    usable: tuple[int, int]
    keep_list_sha256: str
    complete: bool
    files: list[Entry] = []


@dataclass
class Inventory:
    """The inventory of one subset. `entries`: by name of the product."""

    header: Header
    entries: dict[str, Entry] = field(default_factory=dict)

    def key(self, name: str) -> str:
        """The name of a product's object in the store."""
        return f"{self.header.folder}/{name}"

    def objects(self) -> Iterator[tuple[str, Entry]]:
        """All objects that must be in the store, annotation files included, with their entries."""
        for each in self.header.files:
            yield each.name, each
        for each in self.entries.values():
            if each.reason == Reason.OK:
                yield from self.objects_of(each)

    def objects_of(self, entry: Entry) -> Iterator[tuple[str, Entry]]:
        """The objects of a finished product: itself, or the pictures of a folder."""
        key = self.key(entry.name)
        if not entry.pictures:
            yield key, entry
        for picture in entry.pictures:
            yield f"{key}/{picture.name}", picture

    def reasons(self) -> dict[Reason, int]:
        """The number of products by reason."""
        counts: dict[Reason, int] = {}
        for each in self.entries.values():
            reason = Reason.of(each.reason)
            counts[reason] = counts.get(reason, 0) + 1
        return counts


def object_name(subset: str) -> str:
    """The name of the inventory of a subset in a store."""
    return f"{FOLDER}/{subset.replace('/', '.')}.jsonl"


def entry_of(item: Item, stamp: Stamp | None) -> Entry:
    """The entry of a product from its row in the ledger. `stamp`: of its object, if finished."""
    is_done = item.state is State.DONE and stamp is not None
    return Entry(
        item.key,
        item.reason.value,
        size=item.bytes if is_done else None,
        sha256=item.sha256 if is_done else None,
        tag=stamp.tag if is_done and stamp else "",
        facts=_without_addresses(item.facts),
        since=item.since,
        gone_first=item.gone_first,
        gone_last=item.gone_last,
        gone_confirmed=item.gone_confirmed,
    )


def encode(inventory: Inventory) -> bytes:
    """The content of the object; equal inventories have equal content."""
    lines = [msgspec.json.encode(inventory.header)]
    lines += (msgspec.json.encode(inventory.entries[name]) for name in sorted(inventory.entries))
    return b"\n".join([*lines, b""])


def read(store: Store, subset: str) -> tuple[Inventory, Stamp] | None:
    """The inventory of a subset and its stamp; None where the store holds nothing of it.

    Raises Incomplete for one that cannot be read.
    """
    name = object_name(subset)
    while (stamp := store.stat(name)) is not None:
        content = store.read(name)
        # Read between two writes of another machine: look again.
        if store.stat(name) == stamp:
            return _decode(content, f"{store.place}/{name}", subset), stamp
    return None


def read_copy(path: Path, subset: str) -> Inventory | None:
    """The inventory in a local file; None where there is none that can be read."""
    try:
        return _decode(path.read_bytes(), str(path), subset)
    except (FileNotFoundError, Incomplete):
        return None


def _decode(content: bytes, item: str, subset: str) -> Inventory:
    try:
        first, *rest = content.split(b"\n")[:-1]
        header = msgspec.json.decode(first, type=Header)
        decoder = msgspec.json.Decoder(Entry)
        entries = {each.name: each for each in map(decoder.decode, rest)}
        for each in entries.values():
            Reason.of(each.reason)
        if header.version != VERSION or header.subset != subset:
            raise ValueError("another version or subset")
    except (msgspec.MsgspecError, ValueError, UnicodeDecodeError) as error:
        raise Incomplete(
            f"this inventory cannot be read ({error})",
            item=item,
            remedy="Update saco-data, or delete the object and run `saco push` again",
        ) from error
    return Inventory(header, entries)


def _without_addresses(facts: Mapping[str, Any]) -> dict[str, Any]:
    # `place` is a path or an address of this machine: on another one, "gone" is asked again.
    return {
        name: value
        for name, value in facts.items()
        if name != "place" and not (isinstance(value, str) and ("://" in value or "?" in value))
    }
