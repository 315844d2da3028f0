"""Reading everything about one subset in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from saco_data.model.reasons import State
from saco_data.model.snapshot import Snapshot

if TYPE_CHECKING:
    from saco_data.state.ledger import Ledger


def read(ledger: Ledger, subset: str, *, products: bool = False, assets: bool = False) -> Snapshot:
    """The state of a subset. See `Ledger.snapshot`."""
    with ledger.reading():
        _, done_bytes = ledger.done_bytes(subset)
        return Snapshot(
            subset=subset,
            facts=ledger.facts(subset),
            counts=ledger.counts(subset),
            asset_counts=ledger.counts(subset, is_asset=True),
            done_bytes=done_bytes,
            gone=ledger.items(subset, state=State.GONE),
            products=ledger.known(subset) if products else None,
            assets=ledger.items(subset, is_asset=True) if assets else None,
        )
