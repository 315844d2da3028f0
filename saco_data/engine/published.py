"""Reads what a store holds: its status, whether it is sound, and a ledger made from it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from saco_data.engine.publish import THREADS
from saco_data.engine.status import Status, SubsetStatus
from saco_data.engine.subset import Subset
from saco_data.model.errors import UsageError
from saco_data.model.items import Item
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Outcome
from saco_data.state.ledger import Ledger
from saco_data.storage import inventory
from saco_data.storage.inventory import Entry, Inventory
from saco_data.storage.store import Store, open_store


@dataclass
class Checked:
    """What a check of one subset in a store found.

    `faults`: what is wrong with objects, by name. `read`: whether contents were compared too.
    """

    subset: str
    objects: int = 0
    faults: dict[str, str] = field(default_factory=dict)
    read: bool = False


def find_inventories(store: Store, names: Sequence[str]) -> Iterator[Inventory]:
    """The inventories of those of these subsets that a store holds. Raises UsageError for none."""
    there = {name for name, _ in store.list(f"{inventory.FOLDER}/")}
    is_any = False
    for name in names:
        if inventory.object_name(name) in there and (found := inventory.read(store, name)):
            is_any = True
            yield found[0]
    if not is_any:
        raise UsageError(
            "holds none of these subsets",
            item=store.place,
            remedy="Publish them with `saco push`, or correct the address",
        )


def read_status(store: Store, names: Sequence[str]) -> Status:
    """The status of the subsets that a store holds, from their inventories."""
    return Status([_describe(each) for each in find_inventories(store, names)])


def _describe(found: Inventory) -> SubsetStatus:
    header, counts = found.header, found.reasons()
    states = dict.fromkeys(State, 0)
    for reason, count in counts.items():
        states[reason.state] += count
    states[State.PENDING] = max(0, header.total - len(found.entries))
    is_complete = header.complete and states[State.DONE] + states[State.GONE] == header.total
    kept = (header.image_nps[1], header.masks[1])
    return SubsetStatus(
        header.subset,
        header.total,
        states,
        {reason: count for reason, count in counts.items() if reason.state is not State.DONE},
        header.image_nps,
        header.masks,
        header.keep_list_sha256,
        complete=is_complete,
        usable=header.usable if not is_complete else kept,
    )


def verify(store: Store, names: Sequence[str], *, full: bool = False) -> list[Checked]:
    """Compares the objects of subsets with their inventories: by size and tag, from a listing.

    `full`: reads every object and compares its sha256 too.
    """
    return [_verify(store, each, full) for each in find_inventories(store, names)]


def _verify(store: Store, found: Inventory, full: bool) -> Checked:
    listed = dict(store.list(f"{found.header.folder}/"))
    checked = Checked(found.header.subset, read=full)

    def examine(each: tuple[str, Entry]) -> tuple[str, str]:
        key, entry = each
        stamp = listed.get(key) or store.stat(key)
        if stamp is None:
            return key, "is missing"
        if stamp != entry.stamp:
            return key, "is not the object that was published"
        if full and hashlib.sha256(store.read(key)).hexdigest() != entry.sha256:
            return key, "has another digest"
        return key, ""

    with ThreadPoolExecutor(THREADS, thread_name_prefix="verify") as threads:
        for key, fault in threads.map(examine, found.objects()):
            checked.objects += 1
            if fault:
                checked.faults[key] = fault
    return checked


class Objects:
    """The published products of a subset. `listed`: one listing answers for all of them."""

    def __init__(self, subset: Subset, *, listed: bool = False) -> None:
        self.subset = subset
        self._store = open_store(subset.config.bucket)
        self._found = inventory.read_copy(subset.config.published, subset.id)
        folder = self._found.header.folder if self._found else ""
        self._listed = dict(self._store.list(f"{folder}/")) if listed and folder else None

    def find_fault(self, item: Item) -> Outcome | None:
        """The outcome of a finished product that is damaged or lost; None if it is sound."""
        entry = self._found.entries.get(item.key) if self._found else None
        stamp = None
        if self._found is not None and entry is not None and entry.sha256 == item.sha256:
            key = self._found.key(item.key)
            stamp = self._store.stat(key) if self._listed is None else self._listed.get(key)
        if stamp is None:
            reason, detail = Reason.PRODUCT_LOST, "the object is missing"
        elif entry is not None and stamp != entry.stamp:
            reason, detail = Reason.WRONG_DIGEST, "the object changed since it was published"
        else:
            return None
        return Outcome(item.subset, item.key, reason, detail, tried=False)


def rebuild(ledger: Ledger, store: Store, subset: str) -> int:
    """Adds to a ledger what a store holds of a subset; returns the number of products added.

    Products that the ledger calls finished stay as they are. Nothing is read but the inventory.
    """
    found = inventory.read(store, subset)
    if found is None:
        return 0
    known = ledger.known(subset)
    added = 0
    for entry in found[0].entries.values():
        item = known.get(entry.name)
        is_done = item is not None and item.state is State.DONE
        # What was found damaged here stays so, until it is made again.
        if is_done or (item is not None and (entry.reason != Reason.OK or item.sha256)):
            continue
        ledger.record([_outcome(subset, entry)], now=entry.since or None)
        for seen in (entry.gone_first, entry.gone_last):
            if seen is not None:
                ledger.witness(subset, [entry.name], now=seen)
        added += 1
    return added


def _outcome(subset: str, entry: Entry) -> Outcome:
    return Outcome(
        subset,
        entry.name,
        Reason.of(entry.reason),
        bytes=entry.size,
        sha256=entry.sha256,
        facts=entry.facts,
        tried=False,
    )
