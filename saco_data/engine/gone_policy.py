"""Which gone items may be pruned, when to ask again, and the exit codes that follow.

Functions of a subset and a snapshot of its ledger. One fact comes from the disk: whether the raw
folder is empty. "Gone" counts only from a source that has given at least one file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from saco_data.dataset.index import Index
from saco_data.engine.subset import Subset
from saco_data.model.errors import Blocked, Incomplete
from saco_data.model.items import Item
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Product
from saco_data.model.snapshot import Snapshot


def find_removable(subset: Subset, snapshot: Snapshot) -> dict[str, str]:
    """The files that may be pruned now, with their reasons: {file_name: reason}.

    A source that says "gone" and has never given a file probably has a wrong address: then nothing
    is pruned until the user confirms it.
    """
    if not subset.config.may_prune:
        return {}
    hours = subset.config.keys.gone_confirm_hours
    items = snapshot.gone
    if is_all_gone(subset, snapshot):
        items = {key: item for key, item in items.items() if item.gone_confirmed}
    return {key: item.reason.value for key, item in items.items() if item.is_confirmed(hours)}


def is_all_gone(subset: Subset, snapshot: Snapshot) -> bool:
    """Whether files are gone, and the source has never given a file of this subset."""
    states = {reason.state for reason in snapshot.counts}
    if State.GONE not in states or State.DONE in states:
        return False
    return Reason.OK not in snapshot.asset_counts and not subset.has_raw_files()


def needs_confirmation(subset: Subset, snapshot: Snapshot) -> bool:
    """Whether the verdict "gone" counts only after the user confirms it."""
    if not is_all_gone(subset, snapshot):
        return False
    return not all(item.gone_confirmed for item in snapshot.gone.values())


def find_other_meaning(
    snapshot: Snapshot, index: Index, read_items: Callable[[], Mapping[str, Item]]
) -> set[str]:
    """Names of products that were made for another frame or size than the annotations say now.

    `read_items`: returns all products of the ledger with their facts; it is called only where
    these annotations were not compared before.
    """
    if snapshot.facts.compared_sha256 == index.sha256:
        return set()
    items = read_items()
    return {
        name
        for name, product in index.products.items()
        if name in items and _has_other_meaning(items[name], product)
    }


def _has_other_meaning(item: Item, product: Product) -> bool:
    # Without a recorded frame number it is not known which frame the file shows.
    unknown = product.video is not None and "frame" not in item.facts
    return product.contradicts(item.facts) or (item.state is State.DONE and unknown)


def exit_codes(subset: Subset, snapshot: Snapshot, *, whole: bool = True) -> list[int]:
    """The exit codes that follow from the state of a subset: any of 3 and 4.

    With `whole`, files that were not tried yet count as unfinished too.
    """
    states = {reason.state for reason in snapshot.counts}
    codes = []
    if State.BLOCKED in states or needs_confirmation(subset, snapshot):
        codes.append(Blocked.exit_code)
    unfinished = whole and sum(snapshot.counts.values()) < snapshot.facts.files
    if State.FAILED in states or snapshot.facts.unconfirmed or unfinished:
        codes.append(Incomplete.exit_code)
    return codes


def is_second_look_due(subset: Subset, item: Item, now: float) -> bool:
    """Whether a run looks again at an item that is not done.

    Gone items are looked at until they are confirmed (`gone_confirm_hours`), then only by `sync`.
    """
    hours = subset.config.keys.gone_confirm_hours
    if item.state is not State.GONE:
        return True
    if item.is_confirmed(hours) or not subset.config.may_prune:
        return False
    # `gone_first` in the future: the clock was ahead then.
    return item.gone_first is None or not 0 <= now - item.gone_first < hours * 3600
