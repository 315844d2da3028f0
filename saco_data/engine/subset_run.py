"""Carries out the plan of one subset: fetch, process, verify. Runs in a thread, posts events.

It never touches the ledger: what it needs is given to it, what it learns goes out as outcomes.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

from saco_data import sources
from saco_data.engine import verify
from saco_data.engine.events import Ended, Event, Learned, Stages
from saco_data.engine.subset import Subset
from saco_data.executors import LOST, Executor, why_lost
from saco_data.media import process
from saco_data.model.errors import Blocked
from saco_data.model.items import Item
from saco_data.model.reasons import Effect, Reason, State
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.planning.decisions import Decision, SubsetPlan
from saco_data.storage import folders
from saco_data.storage.disk_errors import explain_errors

_log = logging.getLogger(__name__)


IMAGE_SECONDS = 120.0


# Enough for a two-hour video that must be decoded in full.
VIDEO_SECONDS = 1800.0


class SubsetRun:
    """The run of one subset. `post` hands events to the thread that writes the ledger.

    `assets`: what the ledger knows of the raw assets, by key. `stop` is set when the run is to end
    early.
    """

    def __init__(
        self,
        subset: Subset,
        steps: SubsetPlan,
        *,
        stages: Stages,
        executor: Executor,
        assets: Mapping[str, Item],
        post: Callable[[Event], None],
        stop: threading.Event,
    ) -> None:
        self.subset = subset
        self.config = subset.config
        self.source = subset.source
        self.plan = steps
        self.stages = stages
        self.executor = executor
        self.post = post
        self.stop = stop
        self.context = sources.Context(stop, {key: item.facts for key, item in assets.items()})
        # A slot is taken before an asset is requested: this bounds disk and memory.
        bounded = subset.config.removes_videos
        self._width = executor.width if bounded else 2 * executor.width + 2
        self._slots = threading.Semaphore(self._width)
        self._fatal: BaseException | None = None
        # Assets that the source has in another version, while their old products are here.
        self._renewed = set(steps.renewed.values())
        # Assets whose raw file is on disk from an earlier run, and those whose raw file is damaged.
        self._found: set[str] = set()
        self._damaged: list[Asset] = []

    def run(self) -> None:
        """Runs to the end and posts `Ended`; never raises."""
        error: BaseException | None = None
        try:
            self._run()
        except BaseException as raised:
            error = raised
        self.post(Ended(self.subset.id, self._fatal or error))

    def _run(self) -> None:
        self._learn(step.outcome for step in self.plan.steps if step.outcome)
        wanted = [Decision.PROCESS] if self.stages.process else []
        if self.stages.fetch:
            wanted.append(Decision.FETCH)
        todo = self.plan.assets(*wanted)
        if self.stages.process:
            self._tidy()
            lost = self._adopt(self.plan.assets(Decision.ADOPT))
            todo = _merged(todo + lost) if self.stages.fetch else todo
        processed = {asset.key for asset in self.plan.assets(Decision.PROCESS)}
        self._found = processed - self._renewed
        try:
            for key in self._renewed:
                folders.park_old_raw(self.source.raw_path(key))
            self._fetch(todo)
        except Blocked as closed:
            self._record_blocked(self._damaged, closed)
            raise
        finally:
            if self._renewed:
                folders.sweep(self.config.raw_folder)
        self._found = set()
        self._fetch(self._damaged)

    def _tidy(self) -> None:
        """Finishes what a killed run left: links in the official view, the removal of videos."""
        view = self.config.frames_view
        for folder in (self.config.images, self.config.raw_folder):
            folders.sweep(folder)
        unfinished = {step.asset.key for step in self.plan.steps if step.decision != Decision.KEEP}
        for asset in self.plan.assets(Decision.KEEP):
            if view is not None:
                for product in asset.products:
                    if not (view / product.file_name).exists():
                        images = self.config.images
                        process.link_into_view(images / product.file_name, view, product)
            if self.config.removes_videos and asset.key not in unfinished:
                _remove(self.source.raw_path(asset.key))

    def _adopt(self, assets: list[Asset]) -> list[Asset]:
        """Verifies files that the ledger does not know; returns the assets that must be fetched."""
        owner = {product.file_name: asset for asset in assets for product in asset.products}
        lost: dict[str, list[Product]] = {}
        products = [product for asset in assets for product in asset.products]
        for outcome in self._checked(products):
            if outcome.state is State.DONE:
                self._learn([outcome])
            else:
                asset = owner[outcome.key]
                product = next(each for each in asset.products if each.file_name == outcome.key)
                verify.discard(self.subset, product, outcome.reason)
                lost.setdefault(asset.key, []).append(product)
        return [Asset(key, tuple(products)) for key, products in lost.items()]

    def _checked(self, products: Iterable[Product]) -> Iterable[Outcome]:
        known = ((each, self.plan.digests.get(each.file_name)) for each in products)
        return verify.check_all(self.subset, known, self.executor)

    def _fetch(self, assets: list[Asset]) -> None:
        if not assets or self.stop.is_set() or self._fatal is not None:
            return
        waiting = {asset.key: asset for asset in assets}
        arrivals = self.source.fetch(assets, self.context)
        try:
            while not self.stop.is_set() and self._fatal is None:
                self._slots.acquire()
                try:
                    thing = next(arrivals, None)
                except BaseException:
                    self._slots.release()
                    raise
                if thing is None:
                    self._slots.release()
                    break
                if isinstance(thing, Outcome):
                    self._slots.release()
                    self._learn(self._spread(thing, waiting.pop(thing.key)))
                else:
                    waiting.pop(thing.asset.key, None)
                    self._arrived(thing)
        except Blocked as closed:
            self._record_blocked(waiting.values(), closed)
            raise
        finally:
            if isinstance(arrivals, Generator):
                arrivals.close()
            for _ in range(self._width):  # wait for all that is under way
                self._slots.acquire()
            self._slots.release(self._width)

    def _record_blocked(self, assets: Iterable[Asset], closed: Blocked) -> None:
        """Records the remaining assets as blocked, without counting an attempt."""
        self._learn(
            Outcome(self.subset.id, product.file_name, closed.reason, str(closed), tried=False)
            for asset in assets
            for product in self._left(asset)
        )

    def _spread(self, outcome: Outcome, asset: Asset) -> Iterable[Outcome]:
        """The outcome of an asset, and the same one for each of its products."""
        facts = dict(outcome.facts)
        if outcome.state is State.GONE:
            facts["place"] = self.source.location_without_secrets()
        if self.subset.manifest.frames:
            yield replace(outcome, facts=facts)
        for product in self._left(asset):
            yield replace(outcome, key=product.file_name, is_asset=False, facts=facts)

    def _left(self, asset: Asset) -> list[Product]:
        """The products of an asset that cannot be fetched, without those whose files are sound.

        Such files are on disk where the ledger was lost or a disk did not answer.
        """
        unverified = [each for each in asset.products if each.file_name in self.plan.unverified]
        if not (unverified and self.stages.process):
            return list(asset.products)
        rescued = [each for each in self._checked(unverified) if each.state is State.DONE]
        self._learn(rescued)
        names = {each.key for each in rescued}
        return [each for each in asset.products if each.file_name not in names]

    def _arrived(self, arrival: Arrival) -> None:
        """Submits an arrival for processing; its slot is free once that is done."""
        key = arrival.asset.key
        new = key not in self._found
        renewed = key in self._renewed
        # A new version replaces finished products only when all of it could be used.
        if self.subset.manifest.frames and (arrival.facts or new) and not renewed:
            self._learn([_of_asset(self.subset.id, arrival)])
        if not self.stages.process:
            self._slots.release()
            return
        facts = self.subset.manifest
        found = arrival.owned and not new
        before = {} if new else self.context.known.get(key, {})
        known = {**before, **arrival.facts}
        job = process.Job(
            self.subset.id,
            facts.process,
            arrival,
            self.config.images,
            self.config.frames_view,
            self._digests(arrival.asset) if found else {},
            whole=renewed,
            known=None if "frames" in known else known,
        )
        seconds = VIDEO_SECONDS if facts.frames else IMAGE_SECONDS
        try:
            future = self.executor.submit(process.run, job, seconds=seconds)
        except BaseException:
            self._slots.release()
            raise
        future.add_done_callback(lambda done: self._processed(arrival, done))

    def _processed(self, arrival: Arrival, done: Future[list[Outcome]]) -> None:
        try:
            if done.cancelled():
                return
            outcomes = self._outcomes(arrival, done)
            if self._is_damaged(arrival, outcomes):
                self._dispose(arrival, outcomes)
                self._damaged.append(arrival.asset)
                return
            # The products are durable by now: the ledger may lag behind the disk, never lead.
            self._learn(outcomes)
            self._dispose(arrival, outcomes)
        except BaseException as error:
            self._fatal = error
        finally:
            self._slots.release()

    def _digests(self, asset: Asset) -> dict[str, str]:
        names = {product.file_name for product in asset.products}
        return {name: self.plan.digests[name] for name in names & self.plan.digests.keys()}

    def _is_damaged(self, arrival: Arrival, outcomes: list[Outcome]) -> bool:
        """Whether a raw file of ours from an earlier run is to be fetched again in this run."""
        return (
            self.stages.fetch
            and arrival.owned
            and arrival.asset.key in self._found
            and all(outcome.reason.has(Effect.DISCARD_RAW) for outcome in outcomes)
        )

    def _outcomes(self, arrival: Arrival, done: Future[list[Outcome]]) -> list[Outcome]:
        try:
            return done.result()
        except LOST as error:
            reason, detail = why_lost(error)
            return [
                Outcome(self.subset.id, product.file_name, reason, detail, arrival.origin)
                for product in arrival.asset.products
            ]

    def _dispose(self, arrival: Arrival, outcomes: list[Outcome]) -> None:
        """Removes a raw file of ours that is no longer needed, or cannot be used."""
        if not (arrival.owned and isinstance(arrival.raw, Path)):
            return
        reasons = {outcome.reason for outcome in outcomes}
        no_longer_needed = self.config.removes_videos and reasons == {Reason.OK}
        no_use = all(reason.has(Effect.DISCARD_RAW) for reason in reasons)
        if no_use:
            # A product may be the same file under another name (`files.link_or_copy`).
            for product in arrival.asset.products:
                path = self.config.images / product.file_name
                with contextlib.suppress(OSError):
                    if path.samefile(arrival.raw):
                        path.unlink()
        if no_longer_needed or no_use:
            _remove(arrival.raw)

    def _learn(self, outcomes: Iterable[Outcome]) -> None:
        learned = [each for each in outcomes if not self._keeps_old(each)]
        if learned:
            self.post(Learned(self.subset.id, learned))

    def _keeps_old(self, outcome: Outcome) -> bool:
        """Whether a finished product stays as it is, because no usable replacement came."""
        if outcome.state is State.DONE:
            return False
        if outcome.is_asset:
            return outcome.key in self._renewed
        if outcome.key not in self.plan.renewed:
            return False
        words = "%s: kept as it is: the source has another version, but %s"
        _log.warning(words, outcome.key, outcome.detail or outcome.reason)
        return True


def _remove(path: Path) -> None:
    with explain_errors(path):
        path.unlink(missing_ok=True)


def _merged(assets: Iterable[Asset]) -> list[Asset]:
    """One asset for each key."""
    products: dict[str, list[Product]] = {}
    for asset in assets:
        products.setdefault(asset.key, []).extend(asset.products)
    return [Asset(key, tuple(members)) for key, members in products.items()]


def _of_asset(subset: str, arrival: Arrival) -> Outcome:
    return Outcome(
        subset,
        arrival.asset.key,
        Reason.OK,
        origin=arrival.origin,
        bytes=arrival.raw.stat().st_size if isinstance(arrival.raw, Path) else len(arrival.raw),
        sha256=arrival.facts.get("sha256"),
        facts=arrival.facts,
        is_asset=True,
    )
