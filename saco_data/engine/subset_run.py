"""The road of one subset: plan, fetch, process. Runs in a thread of its own and posts events.

A lane never touches the ledger: what it needs of it comes in, what it learns goes out as outcomes.
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
from saco_data.config.settings import Settings
from saco_data.engine import verify
from saco_data.engine.events import Ended, Event, Learned, Stages
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


# A two-hour video that has to be decoded in full fits in.
VIDEO_SECONDS = 1800.0


class Lane:
    """One subset on its way. `post` hands events to the one who writes the ledger."""

    def __init__(
        self,
        settings: Settings,
        subset: str,
        steps: SubsetPlan,
        *,
        stages: Stages,
        executor: Executor,
        assets: Mapping[str, Item],
        post: Callable[[Event], None],
        stop: threading.Event,
    ) -> None:
        self.settings = settings
        self.subset = subset
        self.plan = steps
        self.stages = stages
        self.executor = executor
        self.post = post
        self.stop = stop
        self.source = sources.get(subset, settings)
        self.context = sources.Context(stop, {key: item.facts for key, item in assets.items()})
        # A slot is taken before an asset is asked for: that is what bounds disk and memory.
        bounded = settings.removes_videos(subset)
        self._width = executor.width if bounded else 2 * executor.width + 2
        self._slots = threading.Semaphore(self._width)
        self._fatal: BaseException | None = None
        # Assets that the source has in another version, while what was made of them is here.
        self._renewed = set(steps.renewed.values())
        # Assets whose raw file is on the disk from before, and those of them that proved spoilt.
        self._found: set[str] = set()
        self._spoilt: list[Asset] = []

    def run(self) -> None:
        """Goes the whole road; never raises."""
        error: BaseException | None = None
        try:
            self._run()
        except BaseException as raised:
            error = raised
        self.post(Ended(self.subset, self._fatal or error))

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
            self._spare(self._spoilt, closed)
            raise
        finally:
            if self._renewed:
                folders.sweep(self.settings.raw_folder(self.subset))
        self._found = set()
        self._fetch(self._spoilt)

    def _tidy(self) -> None:
        """What a killed run left undone for finished assets: the official view, the removal."""
        view = self.settings.frames(self.subset)
        for folder in (self.settings.images(self.subset), self.settings.raw_folder(self.subset)):
            folders.sweep(folder)
        unfinished = {step.asset.key for step in self.plan.steps if step.decision != Decision.KEEP}
        for asset in self.plan.assets(Decision.KEEP):
            if view is not None:
                for product in asset.products:
                    if not (view / product.file_name).exists():
                        images = self.settings.images(self.subset)
                        process.show(images / product.file_name, view, product)
            if self.settings.removes_videos(self.subset) and asset.key not in unfinished:
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
                verify.discard(self.settings, self.source, product, outcome.reason)
                lost.setdefault(asset.key, []).append(product)
        return [Asset(key, tuple(products)) for key, products in lost.items()]

    def _checked(self, products: Iterable[Product]) -> Iterable[Outcome]:
        known = ((each, self.plan.digests.get(each.file_name)) for each in products)
        return verify.checked(self.settings, self.subset, known, self.executor)

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
            self._spare(waiting.values(), closed)
            raise
        finally:
            if isinstance(arrivals, Generator):
                arrivals.close()
            for _ in range(self._width):  # all that is under way comes to its end
                self._slots.acquire()
            self._slots.release(self._width)

    def _spare(self, assets: Iterable[Asset], closed: Blocked) -> None:
        """The source is shut, through no fault of these items: none of them is charged for it."""
        self._learn(
            Outcome(self.subset, product.file_name, closed.reason, str(closed), tried=False)
            for asset in assets
            for product in self._left(asset)
        )

    def _spread(self, outcome: Outcome, asset: Asset) -> Iterable[Outcome]:
        """What became of an asset became of all its products."""
        facts = dict(outcome.facts)
        if outcome.state is State.GONE:
            facts["place"] = self.source.whence()
        if self.settings.manifest(self.subset).frames:
            yield replace(outcome, facts=facts)
        for product in self._left(asset):
            yield replace(outcome, key=product.file_name, is_asset=False, facts=facts)

    def _left(self, asset: Asset) -> list[Product]:
        """The products of an asset that cannot be had, without those whose files are whole.

        Where the ledger was lost, or a disk did not answer, such files may be all that is left.
        """
        lying = [each for each in asset.products if each.file_name in self.plan.lying]
        if not (lying and self.stages.process):
            return list(asset.products)
        rescued = [each for each in self._checked(lying) if each.state is State.DONE]
        self._learn(rescued)
        names = {each.key for each in rescued}
        return [each for each in asset.products if each.file_name not in names]

    def _arrived(self, arrival: Arrival) -> None:
        """Sends an arrival on to be processed; its slot is free once that is done."""
        key = arrival.asset.key
        new = key not in self._found
        renewed = key in self._renewed
        # What replaces something done is believed once all of it could be used.
        if self.settings.manifest(self.subset).frames and (arrival.facts or new) and not renewed:
            self._learn([_of_asset(self.subset, arrival)])
        if not self.stages.process:
            self._slots.release()
            return
        facts = self.settings.manifest(self.subset)
        found = arrival.owned and not new
        before = {} if new else self.context.known.get(key, {})
        known = {**before, **arrival.facts}
        job = process.Job(
            self.subset,
            facts.process,
            arrival,
            self.settings.images(self.subset),
            self.settings.frames(self.subset),
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
            if self._is_spoilt(arrival, outcomes):
                self._dispose(arrival, outcomes)
                self._spoilt.append(arrival.asset)
                return
            # The products are on disk and durable: the ledger may lag behind, never lead.
            self._learn(outcomes)
            self._dispose(arrival, outcomes)
        except BaseException as error:
            self._fatal = error
        finally:
            self._slots.release()

    def _digests(self, asset: Asset) -> dict[str, str]:
        names = {product.file_name for product in asset.products}
        return {name: self.plan.digests[name] for name in names & self.plan.digests.keys()}

    def _is_spoilt(self, arrival: Arrival, outcomes: list[Outcome]) -> bool:
        """Whether a raw file of ours from an earlier run is to be fetched anew in this one."""
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
                Outcome(self.subset, product.file_name, reason, detail, arrival.origin)
                for product in arrival.asset.products
            ]

    def _dispose(self, arrival: Arrival, outcomes: list[Outcome]) -> None:
        """Removes a raw file of ours that is used up, or of no use."""
        if not (arrival.owned and isinstance(arrival.raw, Path)):
            return
        reasons = {outcome.reason for outcome in outcomes}
        used_up = self.settings.removes_videos(self.subset) and reasons == {Reason.OK}
        no_use = all(reason.has(Effect.DISCARD_RAW) for reason in reasons)
        if no_use:
            # A product may be the same file under another name (`files.link_or_copy`).
            for product in arrival.asset.products:
                path = self.settings.images(self.subset) / product.file_name
                with contextlib.suppress(OSError):
                    if path.samefile(arrival.raw):
                        path.unlink()
        if used_up or no_use:
            _remove(arrival.raw)

    def _learn(self, outcomes: Iterable[Outcome]) -> None:
        learned = [each for each in outcomes if not self._stays(each)]
        if learned:
            self.post(Learned(self.subset, learned))

    def _stays(self, outcome: Outcome) -> bool:
        """Whether what is done stays as it is, since nothing came that could replace it."""
        if outcome.state is State.DONE:
            return False
        if outcome.is_asset:
            return outcome.key in self._renewed
        if outcome.key not in self.plan.renewed:
            return False
        words = "%s: stays as it is: the source has another version, but %s"
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
