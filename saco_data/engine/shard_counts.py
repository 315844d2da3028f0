"""Counts what the finished shards of a subset hold."""

from __future__ import annotations

from saco_data.engine.subset import Subset
from saco_data.model.reasons import State
from saco_data.state.ledger import Ledger


def describe(subset: Subset, ledger: Ledger) -> str:
    """How many pictures and masks all finished shards hold, and what is damaged; "" for none."""
    facts = subset.manifest.shard_files
    done = ledger.items(subset.id, state=State.DONE) if facts else {}
    if facts is None or not done:
        return ""

    def add_up(name: str) -> int:
        return sum(int(item.facts.get(name, 0)) for item in done.values())

    pictures, annotations = add_up("pictures"), add_up("annotations")
    shards = "1 shard" if len(done) == 1 else f"{len(done)} shards"
    said = f"{shards}: {pictures:,} pictures, {annotations:,} annotation files with "
    said += f"{add_up('masks'):,} masks"
    if damaged := add_up("damaged"):
        said += f"; {damaged:,} files are damaged at the source, their inventories name them"
    choice = str(next(iter(done.values())).facts.get("choice", ""))
    wanted, is_list, _ = choice.partition(" listed ")
    if is_list:
        return f"{said}; {max(pictures, annotations)} of the {wanted} listed pictures are in them"
    if len(done) < ledger.facts(subset.id).files:
        return said
    whole = [item.facts for item in done.values() if item.facts.get("choice") == "all"]
    fewer = facts.a_shard * len(whole) - sum(int(each["pictures"]) for each in whole)
    if fewer > 0:
        said += f"; {fewer:,} pictures fewer than published (some were removed on request)"
    return said
