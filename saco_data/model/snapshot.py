"""The ledger's rows of one subset, read in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from saco_data.model.items import Item, SubsetFacts
from saco_data.model.reasons import Reason


@dataclass(frozen=True)
class Snapshot:
    """A consistent view of a subset; later writes to the ledger do not change it.

    `counts` and `asset_counts`: number of products and of raw assets by reason. `done_bytes`: the
    size of all finished products. `gone`: the products in state "gone", by key.
    `products` (all, as `Ledger.known` returns them) and `assets` are None unless asked for.
    """

    subset: str
    facts: SubsetFacts
    counts: Mapping[Reason, int]
    asset_counts: Mapping[Reason, int]
    done_bytes: int
    gone: Mapping[str, Item]
    products: Mapping[str, Item] | None
    assets: Mapping[str, Item] | None
