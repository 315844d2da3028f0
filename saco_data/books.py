"""Where annotations and ledger meet: what was read, what may be pruned, what is up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saco_data.annotations import Index, read
from saco_data.config import Settings
from saco_data.ledger import Ledger
from saco_data.records import State


def read_annotations(settings: Settings, ledger: Ledger, subset: str) -> Index:
    """The index of a subset's pristine annotations; notes in the ledger what was read."""
    path = settings.pristine(subset)
    facts = ledger.facts(subset)
    index = read(path, settings.manifest(subset))
    facts.stamp, facts.sha256 = stamp(path), index.sha256
    facts.files, facts.image_nps, facts.masks = len(index.products), index.image_nps, index.masks
    ledger.set_facts(subset, facts)
    return index


def removable(settings: Settings, ledger: Ledger, subset: str) -> dict[str, str]:
    """The files that may be pruned now, with their reasons: {file_name: reason}."""
    if not settings.may_prune(subset):
        return {}
    items = ledger.items(subset, state=State.GONE)
    return {key: item.reason.value for key, item in items.items()}


def stamp(path: Path) -> list[Any]:
    """Path, size and mtime: equal stamps mean an unchanged file."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [str(path), status.st_size, status.st_mtime_ns]
