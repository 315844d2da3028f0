"""Carries out the plan of one subset: fetch, process, verify. Runs in a thread, posts events.

It never touches the ledger: all that it must know is given to it, all outcomes are posted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING

from saco_data import sources
from saco_data.engine import cleaning, verify
from saco_data.engine.early_checks import EarlyChecks
from saco_data.engine.events import Ended, Event, Stages
from saco_data.engine.processing import Processing, remove_raw_file
from saco_data.engine.recorder import Recorder
from saco_data.engine.subset import Subset
from saco_data.executors import Executor
from saco_data.media import process
from saco_data.model.errors import Blocked
from saco_data.model.items import Item
from saco_data.model.reasons import State
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.planning.decisions import Decision, SubsetPlan
from saco_data.storage import folders
from saco_data.storage.fetched import is_fetched

if TYPE_CHECKING:
    from saco_data.engine.shard_road import ShardRoad

_log = logging.getLogger(__name__)


class SubsetRun:
    """The run of one subset. `post` hands events to the thread that writes the ledger.

    `assets`: what the ledger knows of the raw assets, by key. `checks`: what is known of raw files
    that were just unpacked. `stop` is set when the run is to end early. `road`: gives archives to
    the nodes of a cluster. `shares_folders`: other machines work in the folders of the subset at
    the same time, so that nothing is swept there.
    """

    def __init__(
        self,
        subset: Subset,
        plan: SubsetPlan,
        *,
        stages: Stages,
        executor: Executor,
        assets: Mapping[str, Item],
        checks: EarlyChecks,
        post: Callable[[Event], None],
        stop: threading.Event,
        road: ShardRoad | None = None,
        shares_folders: bool = False,
    ) -> None:
        self.subset = subset
        self.config = subset.config
        self.source = subset.source
        self.plan = plan
        self.stages = stages
        self.post = post
        self.stop = stop
        self._assets = assets
        self._road = road
        self._shares_folders = shares_folders
        self.context = sources.Context(stop, {key: item.facts for key, item in assets.items()})
        self.recorder = Recorder(subset, plan, stages=stages, executor=executor, post=post)
        self.processing = Processing(self.recorder, self.context.known, checks, stop)

    def run(self) -> None:
        """Runs to the end and posts `Ended`; never raises."""
        error: BaseException | None = None
        try:
            self._run()
        except BaseException as raised:
            error = raised
        unlisted = self._road.error if self._road else None
        self.post(Ended(self.subset.id, self.processing.error or error or unlisted))

    def _run(self) -> None:
        plan, processing = self.plan, self.processing
        if not self._shares_folders:
            cleaning.sweep_subset(self.config, plan.left)
        self.recorder.record(step.outcome for step in plan.steps if step.outcome)
        wanted = [Decision.PROCESS] if self.stages.process else []
        if self.stages.fetch:
            wanted.append(Decision.FETCH)
        todo = plan.assets(*wanted)
        if self.stages.process:
            self._finish_earlier_run()
            lost = self._adopt(plan.assets(Decision.ADOPT))
            todo = _merge(todo + lost) if self.stages.fetch else todo
        renewed = set(plan.renewed.values())
        on_disk = {asset.key for asset in plan.assets(Decision.PROCESS)}
        processing.from_earlier_run = on_disk - renewed
        try:
            for key in renewed:
                self._set_aside(key, "")
            self._fetch(todo)
            processing.from_earlier_run = set()
            self._fetch(
                [
                    arrival.asset
                    for arrival, why in processing.damaged
                    if self._set_aside(arrival.asset.key, why)
                ]
            )
        except Blocked as blocked:
            self.recorder.record_blocked([each.asset for each, _ in processing.damaged], blocked)
            raise
        finally:
            if (renewed or processing.damaged) and not self._shares_folders:
                cleaning.sweep_raw(self.config)

    def _set_aside(self, key: str, damage: str) -> bool:
        """Makes place for another copy of a raw file; returns whether that is possible.

        A file that we fetched is renamed until the other copy has arrived. One of the user stays
        as it is, and the other copy is put beside it. `damage`: what is wrong with the file; "" if
        it is only older than that of its source.
        """
        path = self.source.raw_path(key)
        if not path.exists():
            return True
        what = damage or "its source has another version"
        # The folder of other copies is ours, whatever became of its files.
        is_beside = path.is_relative_to(self.config.raw_folder / sources.BESIDE)
        then = "kept until another copy has arrived" if damage else ""
        try:
            if is_beside:
                self.source.fetch_beside(key)
            if is_beside or is_fetched(path):
                is_possible = folders.park_old_raw(path)
            else:
                then = "left as it is, because saco-data did not fetch it; another copy goes to "
                then += str(self.source.fetch_beside(key))
                is_possible = True
        except OSError:
            is_possible = False
        if not is_possible:
            then = "left as it is, because its folder cannot be written"
        if then:
            _log.warning("%s: %s; %s", path, what, then, extra={"subset": self.subset.id})
        return is_possible

    def _finish_earlier_run(self) -> None:
        """Does what a killed run left to do: links in the official view, removal of videos."""
        view = self.config.frames_view
        unfinished = {step.asset.key for step in self.plan.steps if step.decision != Decision.KEEP}
        for asset in self.plan.assets(Decision.KEEP):
            if view is not None:
                for product in asset.products:
                    if not (view / product.file_name).exists():
                        images = self.config.images
                        process.link_into_view(images / product.file_name, view, product)
            if self.config.removes_videos and asset.key not in unfinished:
                remove_raw_file(self.source.raw_path(asset.key))

    def _adopt(self, assets: list[Asset]) -> list[Asset]:
        """Verifies files that the ledger does not know; returns the assets that must be fetched."""
        by_name = {
            product.file_name: (asset, product) for asset in assets for product in asset.products
        }
        lost: dict[str, list[Product]] = {}
        for outcome in self.recorder.check(product for _, product in by_name.values()):
            if outcome.state is State.DONE:
                self.recorder.record([outcome])
            else:
                asset, product = by_name[outcome.key]
                verify.discard(self.subset, product, outcome.reason)
                lost.setdefault(asset.key, []).append(product)
        return [Asset(key, tuple(products)) for key, products in lost.items()]

    def _fetch(self, assets: list[Asset]) -> None:
        """Fetches assets and submits each for processing; returns when all are processed."""
        if self._road is not None:
            assets = self._hand_out(self._road, assets)
        if not assets or self._has_to_end():
            return
        processing = self.processing
        waiting = {asset.key: asset for asset in assets}
        results = self.source.fetch(assets, self.context)
        try:
            while not self._has_to_end():
                processing.acquire_slot()
                result: Arrival | Outcome | None = None
                try:
                    result = next(results, None)
                finally:
                    if not isinstance(result, Arrival):
                        processing.release_slot()
                if result is None:
                    break
                if isinstance(result, Arrival):
                    waiting.pop(result.asset.key, None)
                    processing.submit(result)
                else:
                    self.recorder.record_asset(result, waiting.pop(result.key))
        except Blocked as blocked:
            self.recorder.record_blocked(waiting.values(), blocked)
            raise
        finally:
            if isinstance(results, Generator):
                results.close()
            processing.wait()

    def _hand_out(self, road: ShardRoad, assets: list[Asset]) -> list[Asset]:
        """Has nodes fetch what is in archives; returns the assets that are left for this machine.

        These are on disk already, or in no archive.
        """
        absent = [each for each in assets if not self.source.raw_path(each.key).is_file()]
        grouped = self.source.group_by_archive(absent)
        handed = {asset.key: asset for members in grouped.values() for asset in members}
        if handed and not self._has_to_end():
            try:
                road.fetch([*handed.values()], self.plan, self._assets)
            except Blocked as blocked:
                self.recorder.record_blocked(road.find_unanswered(handed.values()), blocked)
                raise
        return [each for each in assets if each.key not in handed]

    def _has_to_end(self) -> bool:
        return self.stop.is_set() or self.processing.error is not None


def _merge(assets: Iterable[Asset]) -> list[Asset]:
    """The same products, with one asset for each key."""
    products: dict[str, list[Product]] = {}
    for asset in assets:
        products.setdefault(asset.key, []).extend(asset.products)
    return [Asset(key, tuple(members)) for key, members in products.items()]
