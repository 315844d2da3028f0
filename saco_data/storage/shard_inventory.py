"""The inventory of a shard: the product of one archive, with a line for each of its files.

It is written last, when all files lie verified under their final names. The first line is about the
shard, each further one about a file: its size and sha256, or why it is not used. Equal shards have
equal inventories.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from saco_data.model.reasons import Reason
from saco_data.storage.inventory import Entry

VERSION = 1
_NUMBERS = re.compile(r"\d+")


class Unreadable(ValueError):
    """A file that is not the inventory of a shard."""


class Header(msgspec.Struct, frozen=True):
    """What a shard holds in all.

    `choice`: which of its files the config chose. `pictures`, `annotations`: sound files. `masks`
    in the annotations. `bytes` of the sound files. `damaged`: files that are not used.
    """

    version: int
    archive: str
    choice: str
    pictures: int
    annotations: int
    masks: int
    bytes: int
    damaged: int

    def facts(self) -> dict[str, Any]:
        """The facts of the item in the ledger."""
        counts = ("pictures", "annotations", "masks", "damaged")
        return {"choice": self.choice, "file_bytes": self.bytes} | {
            name: getattr(self, name) for name in counts
        }


@dataclass
class ShardInventory:
    """The files of one shard, by name below the folder of the products."""

    header: Header
    files: dict[str, Entry] = field(default_factory=dict)

    def sound(self) -> Iterable[Entry]:
        """The files that are used."""
        return (each for each in self.files.values() if each.reason == Reason.OK)


def make(archive: str, choice: str, files: Iterable[Entry], pictures: str) -> ShardInventory:
    """The inventory of these files. `pictures`: the folder of pictures."""
    by_name = {each.name: each for each in sorted(files, key=lambda each: _in_order(each.name))}
    sound = [each for each in by_name.values() if each.reason == Reason.OK]
    shown = sum(each.name.startswith(f"{pictures}/") for each in sound)
    header = Header(
        VERSION,
        archive,
        choice,
        pictures=shown,
        annotations=len(sound) - shown,
        masks=sum(int(each.facts.get("masks", 0)) for each in sound),
        bytes=sum(each.size or 0 for each in sound),
        damaged=len(by_name) - len(sound),
    )
    return ShardInventory(header, by_name)


def encode(inventory: ShardInventory) -> bytes:
    """The content of the file."""
    encoder = msgspec.json.Encoder()
    lines = [encoder.encode(inventory.header), *map(encoder.encode, inventory.files.values())]
    return b"\n".join([*lines, b""])


def read(path: Path) -> ShardInventory:
    """The inventory in a file. Raises Unreadable, OSError."""
    return decode(path.read_bytes())


def decode(content: bytes) -> ShardInventory:
    """The inventory in the content of a file. Raises Unreadable."""
    first, *rest = content.split(b"\n")
    header = _decode_header(first)
    try:
        if not rest or rest.pop():
            raise ValueError("it is cut")
        files = {each.name: each for each in map(msgspec.json.Decoder(Entry).decode, rest)}
        for each in files.values():
            Reason.of(each.reason)
        if len(files) != header.pictures + header.annotations + header.damaged:
            raise ValueError("it does not name all files")
    except (msgspec.MsgspecError, ValueError, UnicodeDecodeError) as error:
        raise Unreadable(f"is not the inventory of a shard ({error})") from error
    return ShardInventory(header, files)


def read_header(path: Path) -> Header:
    """What the first line of an inventory says. Raises Unreadable, OSError."""
    with path.open("rb") as file:
        return _decode_header(file.readline(1 << 16))


def _decode_header(line: bytes) -> Header:
    try:
        header = msgspec.json.decode(line, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable(f"is not the inventory of a shard ({error})") from error
    if header.version != VERSION:
        raise Unreadable(f"is an inventory of version {header.version}: update saco-data")
    return header


def _in_order(name: str) -> tuple[int, str]:
    # The annotations of a picture stand beside it.
    stem = name.rpartition("/")[2]
    match = _NUMBERS.search(stem)
    return (int(match[0]) if match else 0, name)
