"""Reads the annotations of a subset and notes in the ledger what was read."""

from __future__ import annotations

from typing import Any

from saco_data.config.settings import Settings
from saco_data.dataset.index import Index, read
from saco_data.sources.annotation_files import revision_of
from saco_data.state.ledger import Ledger
from saco_data.storage.files import stamp


def read_annotations(settings: Settings, ledger: Ledger, subset: str) -> Index:
    """The index of a subset's pristine annotations; notes in the ledger what was read."""
    before = stamp(settings.pristine(subset))
    index = read(settings.pristine(subset), settings.manifest(subset))
    note_index(settings, ledger, subset, index, before)
    return index


def note_index(
    settings: Settings, ledger: Ledger, subset: str, index: Index, stamped: list[Any]
) -> None:
    """Notes in the ledger which annotations a subset has; their stamp from before the reading."""
    facts = ledger.facts(subset)
    facts.stamp, facts.sha256 = stamped, index.sha256
    facts.revision = revision_of(settings, index.path, index.sha256)
    facts.files, facts.image_nps, facts.masks = len(index.products), index.image_nps, index.masks
    ledger.set_facts(subset, facts)
