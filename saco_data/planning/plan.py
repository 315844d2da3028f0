"""Decides what to do with every asset, from its arguments alone.

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
    """The plan of one subset, in the order of the annotations."""
    plan = SubsetPlan(subset, left=view.left)
    groups: dict[str, dict[Decision, list[Product]]] = {}
    for product in products:
        name = product.file_name
        item = view.items.get(name)
        if _is_done(item, name, view):
            # Its name was checked when it was made.
            key = view.key_of(product)
            decision = Decision.KEEP
            if key in view.renew:
                decision = Decision.FETCH
                plan.renewed[name] = key
            groups.setdefault(key, {}).setdefault(decision, []).append(product)
            continue
        fault = _find_fault(subset, product, view)
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
        # A file that the user brings in place of a gone one may have other bytes.
        if at_hand and item and item.sha256 and item.state is not State.GONE:
            plan.digests[name] = item.sha256
    for key, decisions in groups.items():
        for decision, members in decisions.items():
            plan.steps.append(Step(decision, Asset(key, tuple(members))))
    return plan


def _is_done(item: Item | None, name: str, view: View) -> bool:
    return (
        item is not None
        and item.state is State.DONE
        and item.bytes == view.sizes.get(name, -1)
        and name not in view.other
    )


def _find_fault(subset: str, product: Product, view: View) -> Outcome | None:
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
    """Whether a file is there that was made for what the annotations say now."""
    name = product.file_name
    other = name in view.other or (item is not None and product.contradicts(item.facts))
    return name in view.sizes and not other


def _decide(product: Product, key: str, view: View) -> Decision:
    """The decision about a product that is not done, or whose file changed."""
    item = view.items.get(product.file_name)
    done = item is not None and item.state is State.DONE
    gone = item is not None and item.state is State.GONE
    usable = _is_usable(product, item, view)
    if gone and usable:
        # The user put it there, perhaps from another copy.
        return Decision.ADOPT
    # A source without a location ("") keeps its earlier verdict; otherwise "gone" is void once the
    # location changed.
    verdict_from = item.facts.get("place", "") if item else ""
    has_moved = gone and view.location not in ("", verdict_from)
    if item and not done and not has_moved and not view.look_again(item):
        return Decision.REST
    if view.raw_at_hand(key) and key not in view.renew:
        return Decision.PROCESS
    # A finished file whose size changed is not adopted: it is made again.
    if usable and not done:
        return Decision.ADOPT
    return Decision.FETCH
