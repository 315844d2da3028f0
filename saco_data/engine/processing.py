"""Makes products from the raw files of one subset as they arrive, a bounded number at a time."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from saco_data.engine import shard_files
from saco_data.engine.early_checks import EarlyChecks
from saco_data.engine.recorder import Recorder
from saco_data.executors import LOST, NodeLost, why_lost
from saco_data.media import process
from saco_data.model.errors import OutputError
from saco_data.model.reasons import Effect, Reason
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.storage.disk_errors import explain_errors
from saco_data.storage.fetched import is_fetched

_log = logging.getLogger(__name__)
IMAGE_SECONDS = 120.0
# Enough for a two-hour video that must be decoded in full.
VIDEO_SECONDS = 1800.0


class Processing:
    """Submits arrivals to the executor and records what becomes of them.

    A slot is taken before an asset is requested and released when its products are made: this
    bounds disk and memory. `known`: remembered facts of assets by key. `checks`: what is known of
    raw files that were just unpacked. `from_earlier_run`: keys of assets whose raw file was on disk
    before this run. `damaged`: arrivals whose raw file proved unusable, with the reason; they are
    to be fetched again. `error`: what went wrong after an arrival was submitted.
    """

    def __init__(
        self,
        recorder: Recorder,
        known: Mapping[str, dict[str, Any]],
        checks: EarlyChecks,
        stop: threading.Event,
    ) -> None:
        self.recorder = recorder
        self.subset = recorder.subset
        self.config = recorder.subset.config
        self.plan = recorder.plan
        self.stages = recorder.stages
        self.executor = recorder.executor
        self.known = known
        self.checks = checks
        self.from_earlier_run: set[str] = set()
        self.damaged: list[tuple[Arrival, str]] = []
        self.error: BaseException | None = None
        # Assets of which the source has another version, while their old products are on disk.
        self._renewed = set(self.plan.renewed.values())
        width = self.executor.width
        self._width = width if self.config.removes_videos else 2 * width + 2
        if self.subset.manifest.shard_files is not None:
            self._width = 2  # one is fetched while all workers check another
        self._stop = stop
        self._slots = threading.Semaphore(self._width)

    def acquire_slot(self) -> None:
        """Waits for a free slot and takes it."""
        self._slots.acquire()

    def release_slot(self) -> None:
        """Gives a slot back that no arrival will use."""
        self._slots.release()

    def wait(self) -> None:
        """Waits until all submitted arrivals are processed."""
        for _ in range(self._width):
            self._slots.acquire()
        self._slots.release(self._width)

    def submit(self, arrival: Arrival) -> None:
        """Submits an arrival for processing; its slot is released once that is done."""
        key = arrival.asset.key
        is_new = key not in self.from_earlier_run
        is_renewed = key in self._renewed
        has_news = bool(arrival.facts) or is_new
        # A new version replaces finished products only when all of it could be used.
        if self.subset.manifest.frames and has_news and not is_renewed:
            self.recorder.record([_describe_asset(self.subset.id, arrival)])
        if not self.stages.process:
            self._slots.release()
            return
        manifest = self.subset.manifest
        if manifest.shard_files is not None:
            whole = shard_files.start(self.subset, arrival, self.executor, self._stop)
            whole.add_done_callback(lambda done: self._finish(arrival, done))
            return
        remembered = {} if is_new else self.known.get(key, {})
        facts = {**remembered, **arrival.facts}
        job = process.Job(
            self.subset.id,
            manifest.process,
            arrival,
            self.config.images,
            self.config.frames_view,
            self._digests_of(arrival.asset) if arrival.owned and not is_new else {},
            whole=is_renewed,
            known=None if "frames" in facts else facts,
            inspected=self.checks.take(key),
        )
        is_long = manifest.frames or any(each.is_folder for each in arrival.asset.products)
        seconds = VIDEO_SECONDS if is_long else IMAGE_SECONDS
        try:
            linked = process.link_inspected(job)
            if linked is None:
                future = self.executor.submit(process.run, job, seconds=seconds)
            else:
                future = Future()
                future.set_result(linked)
        except BaseException:
            self._slots.release()
            raise
        future.add_done_callback(lambda done: self._finish(arrival, done))

    def _finish(self, arrival: Arrival, done: Future[list[Outcome]]) -> None:
        try:
            if done.cancelled():
                return
            outcomes = self._read_outcomes(arrival, done)
            self._remove_linked_products(arrival, outcomes)
            # The products are on disk by now: the ledger may lag behind the disk, never lead.
            if self._must_fetch_again(arrival, outcomes):
                self.recorder.record_unusable(outcomes)
                self.damaged.append((arrival, outcomes[0].detail or outcomes[0].reason.sentence))
                return
            self.recorder.record(outcomes)
            self._remove_raw(arrival, outcomes)
        except BaseException as error:
            self.error = error
        finally:
            self._slots.release()

    def _digests_of(self, asset: Asset) -> dict[str, str]:
        names = {product.file_name for product in asset.products}
        return {name: self.plan.digests[name] for name in names & self.plan.digests.keys()}

    def _must_fetch_again(self, arrival: Arrival, outcomes: list[Outcome]) -> bool:
        """Whether a raw file from an earlier run is unusable, and this run may fetch."""
        return (
            self.stages.fetch
            and arrival.owned
            and arrival.asset.key in self.from_earlier_run
            and all(outcome.reason.has(Effect.DISCARD_RAW) for outcome in outcomes)
        )

    def _read_outcomes(self, arrival: Arrival, done: Future[list[Outcome]]) -> list[Outcome]:
        try:
            return done.result()
        except LOST as error:
            reason, detail = why_lost(error)
            is_tried = not isinstance(error, NodeLost)
            name, origin = self.subset.id, arrival.origin
            return [
                Outcome(name, product.file_name, reason, detail, origin, tried=is_tried)
                for product in arrival.asset.products
            ]

    def _remove_linked_products(self, arrival: Arrival, outcomes: list[Outcome]) -> None:
        """Removes products that are an unusable raw file under another name.

        The raw file itself stays here, whoever it belongs to (`files.link_or_copy`).
        """
        if not isinstance(arrival.raw, Path):
            return
        names = {each.key for each in outcomes if each.reason.has(Effect.DISCARD_RAW)}
        for name in names & {product.file_name for product in arrival.asset.products}:
            path = self.config.images / name
            with contextlib.suppress(OSError):
                if path.samefile(arrival.raw):
                    path.unlink()

    def _remove_raw(self, arrival: Arrival, outcomes: list[Outcome]) -> None:
        """Removes a raw file that we fetched and that is no longer needed, or just came unusable.

        An unusable one from an earlier run stays until another copy has arrived.
        """
        if not (arrival.owned and isinstance(arrival.raw, Path)):
            return
        reasons = {outcome.reason for outcome in outcomes}
        no_longer_needed = self.config.removes_videos and reasons == {Reason.OK}
        has_just_come = arrival.asset.key not in self.from_earlier_run
        unusable = (
            self.stages.fetch
            and has_just_come
            and all(reason.has(Effect.DISCARD_RAW) for reason in reasons)
            and is_fetched(arrival.raw)
        )
        if no_longer_needed or unusable:
            remove_raw_file(arrival.raw)


def remove_raw_file(path: Path) -> None:
    """Removes a raw file that we fetched; one of the user stays, and one that cannot be removed."""
    if not is_fetched(path):
        return
    try:
        with explain_errors(path):
            path.unlink(missing_ok=True)
    except OutputError as error:
        _log.warning("%s", error)


def _describe_asset(subset: str, arrival: Arrival) -> Outcome:
    """The outcome of a raw asset that has arrived."""
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
