"""Decides what to do with every asset. Pure: no network, no writes, nothing but its arguments.

`saco plan` prints what `saco prepare` does, because both call `make`.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from saco_data.files import UnsafeName
from saco_data.ledger import Item
from saco_data.records import Asset, Outcome, Product, Reason, State


class Decision(StrEnum):
    """What is to be done with an asset and those of its products that are not done."""

    KEEP = "keep"  # done and on disk
    ADOPT = "adopt"  # on disk, but not known to be done: verify and keep
    PROCESS = "process"  # the raw asset is at hand
    FETCH = "fetch"  # the raw asset must be fetched first
    REST = "rest"  # gone, or not yet due: a later sync looks again
    REFUSE = "refuse"  # the annotation itself is at fault


@dataclass(frozen=True, slots=True)
class Step:
    """One decision: the asset with only those products that it concerns."""

    decision: Decision
    asset: Asset
    outcome: Outcome | None = None  # why an item is refused


@dataclass
class SubsetPlan:
    """All steps of one subset."""

    subset: str
    steps: list[Step] = field(default_factory=list)
    # The sha256 that a product had, where it is known and its file or raw file lies on the disk.
    digests: dict[str, str] = field(default_factory=dict)
    # Products that are not done, and yet have a file on disk that may be the right one.
    lying: set[str] = field(default_factory=set)
    # Products that are done and to be replaced by what the source has now, with their assets.
    renewed: dict[str, str] = field(default_factory=dict)
    # Products that need no step, because nothing changed since the last run (`books.settled`).
    settled: int = 0

    def assets(self, *decisions: Decision) -> list[Asset]:
        """The assets with one of these decisions, in the order of the annotations."""
        return [step.asset for step in self.steps if step.decision in decisions]

    def products(self, decision: Decision) -> int:
        """How many products a decision concerns."""
        return sum(len(step.asset.products) for step in self.steps if step.decision is decision)


def unless_gone(item: Item) -> bool:
    """Looks again at what failed or is blocked; what is gone is left to a sync."""
    return item.state is not State.GONE


@dataclass(frozen=True)
class View:
    """What a plan looks at.

    `items`: the ledger's products by `file_name`. `sizes`: bytes of the product files on disk by
    `file_name`. `key_of`: the source's name of a product's asset. `check_name`: raises UnsafeName.
    `raw_at_hand`: whether an asset's raw file needs no fetching. `place`: where a verdict "gone"
    must come from to hold. `frames`: whether products are frames of videos. `look_again`: whether
    an item that is not done is due for another look. `renew`: assets to be fetched although they
    were done, because the source has other ones by now. `other`: products that were made for
    another frame or size than the annotations mean by their names now.
    """

    items: Mapping[str, Item]
    sizes: dict[str, int]
    key_of: Callable[[Product], str]
    check_name: Callable[[Product], object]
    raw_at_hand: Callable[[str], bool]
    place: str = ""
    frames: bool = False
    look_again: Callable[[Item], bool] = unless_gone
    renew: Container[str] = ()
    other: Container[str] = ()


def make(subset: str, products: Iterable[Product], view: View) -> SubsetPlan:
    """The plan of one subset; the order of the annotations is kept."""
    plan = SubsetPlan(subset)
    groups: dict[str, dict[Decision, list[Product]]] = {}
    for product in products:
        name = product.file_name
        item = view.items.get(name)
        if _is_there(item, name, view):
            # Its name stood every test when it was made.
            key = view.key_of(product)
            decision = Decision.KEEP
            if key in view.renew:
                decision = Decision.FETCH
                plan.renewed[name] = key
            groups.setdefault(key, {}).setdefault(decision, []).append(product)
            continue
        fault = _fault(subset, product, view)
        if fault:
            asset = Asset(name, (product,))
            plan.steps.append(Step(Decision.REFUSE, asset, fault))
            continue
        key = view.key_of(product)
        decision = _decide(product, key, view)
        groups.setdefault(key, {}).setdefault(decision, []).append(product)
        if _is_usable(product, item, view):
            plan.lying.add(name)
        at_hand = name in plan.lying or decision is Decision.PROCESS
        # What someone brings for a file that is gone need not be the same bytes.
        if at_hand and item and item.sha256 and item.state is not State.GONE:
            plan.digests[name] = item.sha256
    for key, decisions in groups.items():
        for decision, members in decisions.items():
            plan.steps.append(Step(decision, Asset(key, tuple(members))))
    return plan


def _is_there(item: Item | None, name: str, view: View) -> bool:
    return (
        item is not None
        and item.state is State.DONE
        and item.bytes == view.sizes.get(name, -1)
        and name not in view.other
    )


def _fault(subset: str, product: Product, view: View) -> Outcome | None:
    try:
        view.check_name(product)
    except UnsafeName as error:
        return Outcome(subset, product.file_name, Reason.UNSAFE_NAME, str(error), tried=False)
    if view.frames and (product.video is None or product.frame is None or product.frame < 0):
        lacking = "original_video" if product.video is None else "usable global_frame_idx"
        detail = f"the annotation has no {lacking} (frame {product.frame} of {product.video})"
        return Outcome(subset, product.file_name, Reason.NO_FRAME_INDEX, detail, tried=False)
    return None


def _is_usable(product: Product, item: Item | None, view: View) -> bool:
    """Whether there is a file, and not one that an earlier revision of the annotations meant."""
    name = product.file_name
    other = name in view.other or (item is not None and product.contradicts(item.facts))
    return name in view.sizes and not other


def _decide(product: Product, key: str, view: View) -> Decision:
    """What to do about a product that is not there as it was written."""
    item = view.items.get(product.file_name)
    done = item is not None and item.state is State.DONE
    gone = item is not None and item.state is State.GONE
    usable = _is_usable(product, item, view)
    if gone and usable:
        # Someone put it there, from another copy perhaps.
        return Decision.ADOPT
    # Where it cannot be told who would answer now, what was said holds.
    there = item.facts.get("place", "") if item else ""
    elsewhere = gone and view.place not in ("", there)
    if item and not done and not elsewhere and not view.look_again(item):
        return Decision.REST
    if view.raw_at_hand(key) and key not in view.renew:
        return Decision.PROCESS
    # A file of another size than the ledger says is not what we wrote: make it anew.
    if usable and not done:
        return Decision.ADOPT
    return Decision.FETCH
