"""Reads the annotations of a subset and notes in the ledger what was read."""

from __future__ import annotations

from typing import Any

from saco_data.dataset.index import Index
from saco_data.engine.subset import Subset
from saco_data.sources.annotation_files import revision_of
from saco_data.state.ledger import Ledger


def read_annotations(subset: Subset, ledger: Ledger) -> Index:
    """The index of a subset's pristine annotations; the ledger notes what was read."""
    before = subset.annotations_stamp()
    index = subset.read_index()
    note_index(ledger, subset.id, index, before)
    return index


def note_index(ledger: Ledger, subset: str, index: Index, stamped: list[Any]) -> None:
    """Notes which annotations a subset has. `stamped`: their stamp from before the reading."""
    facts = ledger.facts(subset)
    facts.stamp, facts.sha256 = stamped, index.sha256
    facts.revision = revision_of(index.path, index.sha256)
    facts.files, facts.image_nps, facts.masks = len(index.products), index.image_nps, index.masks
    ledger.set_facts(subset, facts)
