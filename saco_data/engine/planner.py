"""Plans the run of one subset: reads annotations, decides, reserves room on the disk."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Set
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from saco_data.dataset.index import Index
from saco_data.engine import cleaning, freshness, gone_policy, reading, verify
from saco_data.engine.events import Reporter, Result, Stages
from saco_data.engine.shard_road import ShardRoad
from saco_data.engine.subset import Subset
from saco_data.model.items import Item, SubsetFacts
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Outcome
from saco_data.model.snapshot import Snapshot
from saco_data.planning import costs, disk, plan
from saco_data.planning.decisions import Decision, SubsetPlan
from saco_data.planning.view import View, gather_view
from saco_data.sources import Context
from saco_data.sources.annotation_files import Annotations
from saco_data.state.ledger import Ledger
from saco_data.storage import folders
from saco_data.storage.files import stamp

_OTHER = "the annotations give another frame or size for this name now"
IsDue = Callable[[Subset, Item], bool]


@dataclass(frozen=True)
class Planned:
    """The plan of a subset. `assets`: what the ledger knows of its raw assets, by key."""

    index: Index
    steps: SubsetPlan
    assets: Mapping[str, Item]


class Planner:
    """Plans one subset after the other for a run.

    `is_due`: whether to look again at an item that is not done. `renew`: assets by subset to fetch
    again, because the source has another version. `indices`: products by subset that are given as
    a list instead of an annotation file.
    """

    def __init__(
        self,
        ledger: Ledger,
        reporter: Reporter,
        *,
        stages: Stages,
        is_due: IsDue,
        renew: Mapping[str, Container[str]],
        indices: Mapping[str, Index],
    ) -> None:
        self.ledger = ledger
        self.reporter = reporter
        self.stages = stages
        self.is_due = is_due
        self.renew = renew
        self.indices = indices
        self._annotations = Annotations()
        self._room = disk.Room()

    def is_unchanged(self, subset: Subset, snapshot: Snapshot) -> bool:
        """Whether the subset is finished and unchanged since the last run."""
        if subset.id in self.indices or self.renew.get(subset.id):
            return False
        return freshness.is_unchanged(subset, snapshot, lambda item: self.is_due(subset, item))

    def read_index(
        self,
        subset: Subset,
        result: Result,
        context: Context,
        road: ShardRoad | None = None,
    ) -> Index:
        """The products given as a list, else those of the annotations, fetched if missing.

        A listing that is missing is made from the archive, which may take hours; `context.stop`
        ends it. `road`: has nodes read the archives.
        """
        given = self.indices.get(subset.id)
        if given is None and self.stages.fetch:
            self._ensure_index(subset, context, road)
        path = subset.config.pristine if given is None else given.path
        # Before reading: a file that is replaced meanwhile then differs from its stamp.
        result.stamped = stamp(path)
        return given or subset.read_index()

    def _ensure_index(self, subset: Subset, context: Context, road: ShardRoad | None) -> None:
        if subset.manifest.is_listed:
            if road and subset.manifest.shard_files is None:
                read = road.write_listing()
            else:
                read = subset.source.write_listing(context)
            if read:
                self.reporter.note(subset.id, f"listed: {', '.join(read)}")
        elif got := self._annotations.ensure(subset.config):
            self.reporter.note(subset.id, f"annotation file fetched from {got.origin}")

    def plan(
        self, subset: Subset, index: Index, result: Result, tried: Container[str] = ()
    ) -> Planned:
        """The plan of a subset; updates the ledger to the present annotations.

        `tried`: products that failed in this run, and are not due again in it.
        """
        restored = self.ledger.restore_rows(subset.id, index.products)
        snapshot = self.ledger.snapshot(subset.id, products=True, assets=True)
        facts, assets = snapshot.facts, snapshot.assets or {}
        known = dict(snapshot.products or {})
        for warning in index.warnings:
            self.reporter.note(subset.id, f"warning: {warning}")
        result.changes.annotations = _compare(facts, index, known.keys() - restored)
        other = self._other_meaning(subset, snapshot, index)
        reading.fill_facts(facts, index, result.stamped)
        # The subset counts as unfinished from here on, even if this run is stopped.
        was_finished, facts.ended = bool(facts.ended), []
        cleaning.sweep_raw(subset.config)
        view = gather_view(
            subset.source,
            known,
            look_again=lambda item: item.key not in tried and self.is_due(subset, item),
            renew=self.renew.get(subset.id, ()),
            other=other,
        )
        self._record_lost(subset, index, known, view, result)
        if self.stages.process:
            facts.compared_sha256 = index.sha256
        self.ledger.set_facts(subset.id, facts)
        steps = plan.make(subset.id, index.products.values(), view)
        self._tell_of_links(subset, steps)
        self.ledger.archive_rows(subset.id, known.keys() - index.products.keys())
        if was_finished:
            self.ledger.commit()
        return Planned(index, steps, assets)

    def _tell_of_links(self, subset: Subset, steps: SubsetPlan) -> None:
        """Says that the official folder holds symbolic links, where frames are to be made."""
        view = subset.config.frames_view
        new = steps.products(Decision.FETCH) + steps.products(Decision.PROCESS)
        if view is None or not new or not self.stages.process:
            return
        if folders.device_of(view) != folders.device_of(subset.config.images):
            self.reporter.note(
                subset.id,
                f"{view} is on another file system than the products: it gets symbolic links to "
                f"{subset.config.images}, so that each frame is stored once",
            )

    def _other_meaning(self, subset: Subset, snapshot: Snapshot, index: Index) -> set[str]:
        if not self.stages.process:
            return set()
        read_items = partial(self.ledger.items, subset.id)
        return gone_policy.find_other_meaning(snapshot, index, read_items)

    def _record_lost(
        self, subset: Subset, index: Index, known: dict[str, Item], view: View, result: Result
    ) -> None:
        """Records products that were done and are lost, cut off, or of another revision.

        With `process`, deletes what is left of their files. `known` gets the earlier digest of
        those that will be made again with the same content.
        """
        lost: list[Outcome] = []
        same_content: list[str] = []
        for name, product in index.products.items():
            item = known.get(name)
            if item is None:
                continue
            detail = _why_lost(item, name, view)
            if not detail:
                continue
            if item.state is State.DONE:
                lost.append(Outcome(subset.id, name, Reason.PRODUCT_LOST, detail, tried=False))
                if detail != _OTHER:
                    same_content.append(name)
            view.sizes.pop(name, None)
            if self.stages.process:
                verify.discard(subset, product, Reason.WRONG_DIGEST)
        result.changes.add(self.ledger.record(lost))
        before = self.ledger.not_done(subset.id) if same_content else {}
        known.update(
            {name: replace(known[name], sha256=before[name].sha256) for name in same_content}
        )

    def reserve_room(self, subset: Subset, planned: Planned) -> None:
        """Warns if the plan may not fit on the disk. Raises DiskFull if it certainly does not."""
        if self.stages.fetch:
            cost = costs.of_plan(
                subset.source, planned.steps, planned.assets, products=self.stages.process
            )
            for warning in self._room.reserve(cost):
                self.reporter.note(subset.id, f"warning: may not fit on the disk: {warning}")


def _compare(facts: SubsetFacts, index: Index, known: Set[str]) -> dict[str, Any]:
    """How the annotations differ from those of the last run; empty if they are the same."""
    if not facts.sha256 or facts.sha256 == index.sha256:
        return {}
    return {
        "before": facts.sha256,
        "now": index.sha256,
        "added": len(index.products.keys() - known),
        "dropped": len(known - index.products.keys()),
    }


def _why_lost(item: Item, name: str, view: View) -> str:
    """Why a product that the ledger knows is not on disk as it was made; "" if it is."""
    size = view.sizes.get(name)
    other = name in view.other
    if item.state is not State.DONE and not (other and size is not None):
        return ""
    if other:
        return _OTHER
    if size is None:
        return "the file is missing"
    return "" if size == item.bytes else f"has {size} of {item.bytes} bytes"
