"""Publishes a prepared subset in a store: products, then annotations, and its inventory last.

An object is put once, from content whose digest is the one that was recorded when the product was
verified. What is there already is compared and left alone, so that a publication that was broken
off goes on, and two machines that publish the same do no harm: correctness needs no lock.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from saco_data.dataset.pruned import find_partial, partial, sidecar
from saco_data.engine import status
from saco_data.engine.subset import Subset
from saco_data.model.errors import Incomplete
from saco_data.model.items import Item
from saco_data.model.reasons import Reason, State
from saco_data.model.version import __version__
from saco_data.state.ledger import Ledger
from saco_data.storage import inventory, picture_folders
from saco_data.storage.inventory import Entry, Header, Inventory
from saco_data.storage.names import safe_join
from saco_data.storage.store import Changed, Exists, Stamp, Store

THREADS = 16
BATCH = 1024
_CHANGED = "the file changed since it was verified"
ATTEMPTS = 5  # where other machines publish the same subset at the same time


@dataclass
class Published:
    """What a publication did. `put`, `same`: numbers of objects; `sent`: bytes.

    `replaced`: how many of `put` took the place of an object with other content.
    `skipped`: why products that the ledger calls finished could not be published, by name.
    `is_same`: the store held all of it before. `inventory`: what the store holds now.
    """

    subset: str
    put: int = 0
    replaced: int = 0
    same: int = 0
    sent: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    is_same: bool = False
    inventory: Inventory | None = None


def publish(
    subset: Subset, ledger: Ledger, store: Store, stop: threading.Event | None = None
) -> Published:
    """Publishes what is finished of a subset, and ends soon once `stop` is set.

    Raises DiskFull, OutputError or Incomplete where the store does not take it; what was put
    stays, and the next call goes on.
    """
    for _ in range(ATTEMPTS):
        done = _Publication(subset, ledger, store, stop or threading.Event())
        try:
            return done.run()
        except (Changed, Exists):
            continue
    raise Incomplete(
        "other machines publish it at the same time",
        item=f"{store.place}: {subset.id}",
        remedy="Run again",
    )


class _Publication:
    def __init__(self, subset: Subset, ledger: Ledger, store: Store, stop: threading.Event) -> None:
        self.subset, self.ledger, self.store, self.stop = subset, ledger, store, stop
        self.result = Published(subset.id)
        self.folder = subset.manifest.products_folder  # as below the root of its collection
        self.before = inventory.read(store, subset.id)
        self.listed = dict(store.list(f"{self.folder}/"))

    def run(self) -> Published:
        items = self.ledger.items(self.subset.id)
        entries = {name: inventory.entry_of(item, None) for name, item in items.items()}
        done = [item for item in items.values() if item.state is State.DONE]
        with ThreadPoolExecutor(THREADS, thread_name_prefix="publish") as threads:
            # By batches: a million waiting tasks would fill the memory.
            for at in range(0, len(done), BATCH):
                batch = done[at : at + BATCH]
                for item, entry in zip(batch, threads.map(self._put_product, batch), strict=True):
                    if entry is None:
                        del entries[item.key]
                    else:
                        entries[item.key] = entry
        self._keep_of_others(entries)
        files = [self._put_file(path) for path in _annotation_files(self.subset)]
        self.result.inventory = Inventory(self._header(files), entries)
        self._write_inventory(self.result.inventory)
        if self.before is not None:
            self.store.delete(find_left_over(self.before[0], self.result.inventory))
        return self.result

    def _put_product(self, item: Item) -> Entry | None:
        """The entry of a product, which is put if needed; None if it cannot be."""
        if self.stop.is_set():
            raise Incomplete(
                "stopped while it was being published",
                item=self.subset.id,
                remedy="What is there is kept: run again to go on",
            )
        if (known := self._find_known(item)) is not None:
            self.result.same += max(1, len(known.pictures))
            return msgspec.structs.replace(
                inventory.entry_of(item, known.stamp), pictures=known.pictures
            )
        path = safe_join(self.subset.config.images, item.key)
        try:
            if path.is_dir():
                names = picture_folders.pictures(path)
                return self._put_folder(item, {name: (path / name).read_bytes() for name in names})
            content = path.read_bytes()
        except OSError as error:
            self.result.skipped[item.key] = f"cannot be read ({error.strerror})"
            return None
        if hashlib.sha256(content).hexdigest() != item.sha256:
            self.result.skipped[item.key] = _CHANGED
            return None
        key = f"{self.folder}/{item.key}"
        return inventory.entry_of(item, self._put(key, content, self.listed.get(key)))

    def _put_folder(self, item: Item, contents: dict[str, bytes]) -> Entry | None:
        """The entry of a product that is a folder of pictures; None if it changed meanwhile."""
        digests = {name: hashlib.sha256(each).hexdigest() for name, each in contents.items()}
        if picture_folders.combine_sha256(digests.items()) != item.sha256:
            self.result.skipped[item.key] = _CHANGED
            return None
        pictures = []
        for name, content in contents.items():
            key = f"{self.folder}/{item.key}/{name}"
            stamp = self._put(key, content, self.listed.get(key))
            pictures.append(_entry(name, stamp, digests[name]))
        entry = inventory.entry_of(item, Stamp(item.bytes or 0, ""))
        return msgspec.structs.replace(entry, pictures=pictures)

    def _find_known(self, item: Item) -> Entry | None:
        """The entry of the inventory for this product, if its objects are still there."""
        entry = self.before[0].entries.get(item.key) if self.before else None
        if entry is None or entry.sha256 != item.sha256 or not self._is_there(entry):
            return None
        return entry

    def _is_there(self, entry: Entry) -> bool:
        """Whether the store holds all objects of an entry as they were published."""
        assert self.before is not None
        return entry.stamp is not None and all(
            self.listed.get(key) == each.stamp for key, each in self.before[0].objects_of(entry)
        )

    def _put(self, key: str, content: bytes, present: Stamp | None) -> Stamp:
        """The stamp of an object with this content. Raises Exists or Changed."""
        if present is not None and self._has_content(key, content, present):
            self.result.same += 1
            return present
        if present is None:
            stamp = self.store.put(key, content, only_new=True)
        else:
            stamp = self.store.replace(key, content, present)
            self.result.replaced += 1
        self.result.put += 1
        self.result.sent += len(content)
        return stamp

    def _has_content(self, key: str, content: bytes, present: Stamp) -> bool:
        if present.size != len(content):
            return False
        # The tag of an object that was put in one piece is its md5.
        return present.tag == hashlib.md5(content).hexdigest() or self.store.read(key) == content

    def _put_file(self, path: Path) -> Entry:
        content = path.read_bytes()
        key = f"{path.parent.name}/{path.name}"
        stamp = self._put(key, content, self.store.stat(key))
        return _entry(key, stamp, hashlib.sha256(content).hexdigest())

    def _keep_of_others(self, entries: dict[str, Entry]) -> None:
        """Adds the finished products of the inventory that are not finished here."""
        if self.before is None:
            return
        known = self.before[0]
        if known.header.annotations_sha256 != self.ledger.facts(self.subset.id).sha256:
            return
        for name, entry in known.entries.items():
            here = entries.get(name)
            if here is not None and here.reason == Reason.OK:
                continue
            if self._is_there(entry):
                entries[name] = entry
                self.result.skipped.pop(name, None)

    def _header(self, files: list[Entry]) -> Header:
        state = status.read_one(self.subset, self.ledger)
        return Header(
            version=inventory.VERSION,
            subset=self.subset.id,
            folder=self.folder,
            made_by=f"saco-data {__version__}",
            annotations_sha256=self.ledger.facts(self.subset.id).sha256,
            total=state.total,
            image_nps=state.image_nps,
            masks=state.masks,
            usable=state.usable,
            keep_list_sha256=state.keep_list_sha256,
            complete=state.complete and not self.result.skipped,
            files=files,
        )

    def _write_inventory(self, new: Inventory) -> None:
        name, content = inventory.object_name(self.subset.id), inventory.encode(new)
        if self.before is None:
            self.store.put(name, content, only_new=True)
            return
        old, stamp = self.before
        if inventory.encode(old) == content:
            self.result.is_same = True
            return
        self.store.replace(name, content, stamp)


def _entry(name: str, stamp: Stamp, sha256: str) -> Entry:
    return Entry(name, Reason.OK.value, size=stamp.size, sha256=sha256, tag=stamp.tag)


def find_left_over(old: Inventory, new: Inventory) -> list[str]:
    """Annotation files, and pictures in folders, that are no longer part of what is published."""
    left = {each.name for each in old.header.files} - {each.name for each in new.header.files}
    for name, entry in new.entries.items():
        was = old.entries.get(name)
        if was and entry.pictures and was.pictures != entry.pictures:
            now = {key for key, _ in new.objects_of(entry)}
            left |= {key for key, _ in old.objects_of(was)} - now
    return sorted(left)


def _annotation_files(subset: Subset) -> Iterator[Path]:
    """The annotation files for evaluation that are here, with their sidecars."""
    if subset.manifest.is_listed:
        return
    derived = subset.config.derived
    paths: Sequence[Path] = (derived, sidecar(derived))
    if find_partial(derived) is not None:
        paths = (*paths, partial(derived), sidecar(partial(derived)))
    yield from (path for path in paths if path.is_file())
