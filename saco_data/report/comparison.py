"""What this copy and another one have, from the other one's card or keep-list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from saco_data.dataset.pairs import plain
from saco_data.model.items import Item
from saco_data.model.reasons import State

EXAMPLES = 5  # names shown of each kind


@dataclass(frozen=True)
class Comparison:
    """The files of one subset in both copies, only here and only there; some names of the last two.

    `is_same`: whether both copies were made with the same annotations, None where that is unknown.
    """

    subset: str
    both: int
    here: int
    there: int
    only_here: list[str]
    only_there: list[str]
    is_same: bool | None


def compare(
    subset: str, items: Mapping[str, Item], other: frozenset[str], is_same: bool | None
) -> Comparison:
    """Compares the finished files of a subset with the names that another copy has."""
    done = {name for name, item in items.items() if item.state is State.DONE}
    here, there = sorted(done - other), sorted(other - done)
    return Comparison(
        subset,
        len(done & other),
        len(here),
        len(there),
        [plain(name) for name in here[:EXAMPLES]],
        [plain(name) for name in there[:EXAMPLES]],
        is_same,
    )
