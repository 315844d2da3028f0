"""Where annotations and ledger meet: what was read, what may be pruned, what is up to date."""

from __future__ import annotations

from collections.abc import Callable

from saco_data.config.settings import Settings
from saco_data.dataset.index import Index
from saco_data.model.errors import Blocked, Incomplete
from saco_data.model.items import Item
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Product
from saco_data.state.ledger import Ledger
from saco_data.storage import folders


def removable(settings: Settings, ledger: Ledger, subset: str) -> dict[str, str]:
    """The files that may be pruned now, with their reasons: {file_name: reason}.

    Where a source says so of files and has never given one, a wrong address is likelier than the
    truth: nothing may be pruned then before the user confirms it.
    """
    if not settings.may_prune(subset):
        return {}
    hours = settings.keys.gone_confirm_hours
    items = ledger.items(subset, state=State.GONE)
    if all_gone(settings, ledger, subset):
        items = {key: item for key, item in items.items() if item.gone_confirmed}
    return {key: item.reason.value for key, item in items.items() if item.confirmed(hours)}


def all_gone(settings: Settings, ledger: Ledger, subset: str) -> bool:
    """Whether files of a subset are gone, and nothing at all of it is here."""
    states = {reason.state for reason in ledger.counts(subset)}
    if State.GONE not in states or State.DONE in states:
        return False
    if Reason.OK in ledger.counts(subset, is_asset=True):
        return False
    raw = folders.list_files(settings.raw_folder(subset))
    return all(name.rpartition("/")[2].startswith(".") for name in raw)


def doubtful(settings: Settings, ledger: Ledger, subset: str) -> bool:
    """Whether the source is not believed before the user confirms what it says is gone."""
    if not all_gone(settings, ledger, subset):
        return False
    gone = ledger.items(subset, state=State.GONE).values()
    return not all(item.gone_confirmed for item in gone)


def other_meaning(ledger: Ledger, subset: str, index: Index) -> set[str]:
    """Products that were made for another frame or size than their names mean by now.

    Only annotations that were not yet compared with what was made are looked at.
    """
    if ledger.facts(subset).compared_sha256 == index.sha256:
        return set()
    items = ledger.items(subset)
    return {
        name
        for name, product in index.products.items()
        if name in items and _is_other(items[name], product)
    }


def _is_other(item: Item, product: Product) -> bool:
    # Of a frame that nobody knows the number of, nobody knows whether it is the right one.
    unknown = product.video is not None and "frame" not in item.facts
    return product.contradicts(item.facts) or (item.state is State.DONE and unknown)


def exit_codes(settings: Settings, ledger: Ledger, subset: str, *, whole: bool = True) -> list[int]:
    """The exit codes that the state of a subset asks for: 3 and 4, or none.

    With `whole`, files that were not yet asked for count too.
    """
    counts, facts = ledger.counts(subset), ledger.facts(subset)
    states = {reason.state for reason in counts}
    codes = []
    if State.BLOCKED in states or doubtful(settings, ledger, subset):
        codes.append(Blocked.exit_code)
    unfinished = whole and sum(counts.values()) < facts.files
    if State.FAILED in states or facts.unconfirmed or unfinished:
        codes.append(Incomplete.exit_code)
    return codes


def second_look(settings: Settings, now: int) -> Callable[[Item], bool]:
    """Whether a run looks again at an item that is not done: the second look that confirms it.

    What is gone for good, as far as the config asks, is left to a sync.
    """
    hours = settings.keys.gone_confirm_hours

    def due(item: Item) -> bool:
        if item.state is not State.GONE:
            return True
        if item.confirmed(hours) or not settings.may_prune(item.subset):
            return False
        # A first sight in the future is the work of a clock that was ahead.
        return item.gone_first is None or not 0 <= now - item.gone_first < hours * 3600

    return due
