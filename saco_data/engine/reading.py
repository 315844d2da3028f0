"""Reads the annotations of a subset and records in the ledger which file was read."""

from __future__ import annotations

from typing import Any

from saco_data.dataset.index import Index
from saco_data.engine.subset import Subset
from saco_data.model.items import SubsetFacts
from saco_data.sources.annotation_files import revision_of
from saco_data.state.ledger import Ledger


def read_annotations(subset: Subset, ledger: Ledger) -> Index:
    """The index of a subset's pristine annotations; the ledger records which file was read."""
    before = subset.annotations_stamp()
    index = subset.read_index()
    facts = ledger.facts(subset.id)
    fill_facts(facts, index, before)
    ledger.set_facts(subset.id, facts)
    return index


def fill_facts(facts: SubsetFacts, index: Index, stamped: list[Any]) -> None:
    """Writes into `facts` which annotations a subset has.

    `stamped`: the stamp of the annotation file, taken before it was read.
    """
    facts.stamp, facts.sha256 = stamped, index.sha256
    facts.revision = revision_of(index.path, index.sha256)
    facts.files, facts.image_nps, facts.masks = len(index.products), index.image_nps, index.masks
