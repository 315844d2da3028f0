"""Decides what to do with every asset. Pure: no network, no writes, nothing but its arguments.

`saco plan` prints what `saco prepare` does, because both call `make`.
"""

from __future__ import annotations

from collections.abc import Iterable

from saco_data.model.items import Item
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Asset, Outcome, Product
from saco_data.planning.decisions import Decision, Step, SubsetPlan
from saco_data.planning.view import View
from saco_data.storage.names import UnsafeName


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
            plan.unverified.add(name)
        at_hand = name in plan.unverified or decision is Decision.PROCESS
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
    # A source without a location ("") keeps its earlier verdict; otherwise "gone" is void once the
    # location changed.
    there = item.facts.get("place", "") if item else ""
    elsewhere = gone and view.location not in ("", there)
    if item and not done and not elsewhere and not view.look_again(item):
        return Decision.REST
    if view.raw_at_hand(key) and key not in view.renew:
        return Decision.PROCESS
    # A file of another size than the ledger says is not what we wrote: make it anew.
    if usable and not done:
        return Decision.ADOPT
    return Decision.FETCH
