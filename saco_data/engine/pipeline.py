"""Runs plan -> fetch -> process -> verify -> prune for all subsets; the only ledger writer.

Each subset runs in its own thread; all share the executor. Outcomes go through one queue to the
main thread, which records and reports them, and concludes each subset that has ended.
"""

from __future__ import annotations

import copy
import importlib
import queue
import threading
import time
from collections.abc import Container, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

from saco_data.dataset.index import Index
from saco_data.engine import gone_policy, reading
from saco_data.engine.conclusion import conclude
from saco_data.engine.early_checks import EarlyChecks
from saco_data.engine.events import Ended, Event, Learned, Listed, Reporter, Result, Stages
from saco_data.engine.planner import IsDue, Planner
from saco_data.engine.shard_road import ShardRoad, find_road
from saco_data.engine.subset import Subset
from saco_data.engine.subset_run import SubsetRun
from saco_data.executors import Executor
from saco_data.model.errors import Blocked, Incomplete
from saco_data.model.reasons import Effect, State
from saco_data.model.records import Outcome
from saco_data.planning.decisions import Decision, SubsetPlan
from saco_data.sources import Context
from saco_data.sources.requirements import missing_raw_media
from saco_data.state.ledger import Ledger, LedgerDamaged

COMMIT_SECONDS = 0.5
STOPPING = "stopping: the work under way is finished first; a second signal stops at once"


class Pipeline:
    """One run over some subsets.

    `is_due`, `renew`, `indices`: see `Planner`. `confirm_gone`: the user confirms that gone items
    are gone (see `gone_confirm_hours` in the config).
    """

    def __init__(
        self,
        ledger: Ledger,
        executor: Executor,
        reporter: Reporter,
        *,
        stages: Stages | None = None,
        is_due: IsDue | None = None,
        confirm_gone: bool = False,
        renew: Mapping[str, Container[str]] | None = None,
        indices: Mapping[str, Index] | None = None,
    ) -> None:
        self.ledger = ledger
        self.executor = executor
        self.reporter = reporter
        self.stages = stages or Stages()
        self.confirm_gone = confirm_gone
        self.stop = threading.Event()
        self._given = indices or {}
        self._planner = Planner(
            ledger,
            reporter,
            stages=self.stages,
            is_due=is_due or partial(gone_policy.is_second_look_due, now=ledger.now()),
            renew={} if renew is None else renew,
            indices=self._given,
        )
        self._events: queue.Queue[Event] = queue.Queue()
        self._threads: dict[str, threading.Thread] = {}
        self._subsets: dict[str, Subset] = {}
        self._results: dict[str, Result] = {}
        self._indices: dict[str, Index] = {}
        self._committed = time.monotonic()

    def run(self, subsets: Sequence[Subset]) -> dict[str, Result]:
        """Runs every subset to its end; returns the result of each.

        An error of one subset leaves the others running. Raises only errors that concern them all:
        DiskFull and OutputError of the ledger, KeyboardInterrupt.
        """
        self._subsets = {subset.id: subset for subset in subsets}
        self._results = {name: Result(name) for name in self._subsets}
        try:
            for subset in subsets:
                self._launch(subset)
                self._drain(wait=False)
            is_announced = False
            while self._threads:
                self._drain(wait=True)
                if self.stop.is_set() and not is_announced:
                    is_announced = True
                    self.reporter.note("", STOPPING)
        except BaseException:
            self.stop.set()
            raise
        finally:
            self.ledger.commit()
        return self._results

    def join(self) -> None:
        """Waits for the threads that still run after an error."""
        for thread in self._threads.values():
            thread.join()

    def halt(self) -> None:
        """Asks all subsets to end soon; finished work is kept."""
        self.stop.set()

    def _launch(self, subset: Subset) -> None:
        """Starts the thread of a subset where there is something to do."""
        run = self._start(subset)
        if run:
            thread = threading.Thread(target=run.run, name=subset.id, daemon=True)
            self._threads[subset.id] = thread
            thread.start()

    def _start(self, subset: Subset) -> SubsetRun | None:
        """The run of a subset, ready to start; None where there is nothing to do."""
        result = self._results[subset.id]
        try:
            snapshot = self.ledger.snapshot(subset.id)
            if not self.confirm_gone and self._planner.is_unchanged(subset, snapshot):
                result.steps = SubsetPlan(subset.id, settled=snapshot.facts.files)
                self.reporter.begin(result.steps)
                self._conclude(subset)
                return None
            checks = EarlyChecks(subset, self.executor)
            road = self._find_road(subset)
            index = self._read_index(subset, result, checks, road)
            planned = self._planner.plan(subset, index, result, road.tried if road else ())
            result.steps = planned.steps
            self._indices[subset.id] = index
            self._planner.reserve_room(subset, planned)
            self.reporter.begin(result.steps)
            if self._will_process(planned.steps):
                self.executor.start()
            if self.stages.fetch and planned.steps.products(Decision.FETCH):
                for name in subset.source.modules():
                    importlib.import_module(name)
            return SubsetRun(
                subset,
                planned.steps,
                stages=self.stages,
                executor=self.executor,
                assets=planned.assets,
                checks=checks,
                post=self._events.put,
                stop=self.stop,
                road=road,
            )
        except LedgerDamaged:
            raise
        except Exception as error:
            # Name missing raw media too: the user can then solve both problems at once.
            if isinstance(error, Blocked | Incomplete) and result.steps is None:
                result.error = _add_remedy(error, missing_raw_media(subset.source))
            else:
                result.error = error
            self._conclude(subset)
            return None

    def _will_process(self, steps: SubsetPlan) -> bool:
        decisions = [Decision.PROCESS, Decision.ADOPT]
        if self.stages.fetch:
            decisions.append(Decision.FETCH)
        return self.stages.process and any(map(steps.products, decisions))

    def _find_road(self, subset: Subset) -> ShardRoad | None:
        """The way by which nodes of a cluster take whole archives, where there is one."""
        if subset.id in self._given:
            return None
        return find_road(subset, self.executor, self.stages, post=self._events.put, stop=self.stop)

    def _read_index(
        self, subset: Subset, result: Result, checks: EarlyChecks, road: ShardRoad | None
    ) -> Index:
        """The index of a subset.

        While it is made from an archive, events are recorded, and files that were unpacked are
        checked where products are made of them next.
        """
        context = Context(self.stop)
        if not subset.manifest.is_listed:
            return self._planner.read_index(subset, result, context)
        if self.stages.process:
            context.unpacked = checks.start
        with ThreadPoolExecutor(1, thread_name_prefix="index") as pool:
            index = pool.submit(self._planner.read_index, subset, result, context, road)
            try:
                while not wait([index], timeout=COMMIT_SECONDS).done:
                    self._drain(wait=False)
            except BaseException:
                self.stop.set()
                raise
            # The plan must know what nodes have done.
            while not self._events.empty():
                self._drain(wait=False)
            return index.result()

    def _drain(self, *, wait: bool) -> None:
        """Records the events that have arrived; with `wait`, waits until the next commit is due.

        A commit costs several syncs, so that short pieces of work share one: what it would lose
        is on disk, and found there by the next run.
        """
        due = time.monotonic() + COMMIT_SECONDS
        while True:
            try:
                left = due - time.monotonic()
                event = self._events.get(block=wait and left > 0, timeout=max(left, 0.001))
            except queue.Empty:
                break
            result = self._results[event.subset]
            if isinstance(event, Learned):
                result.changes.add(self.ledger.record(event.outcomes))
                _count(result, event.outcomes)
                self.reporter.learned(event.subset, event.outcomes)
            elif isinstance(event, Listed):
                reading.read_annotations(self._subsets[event.subset], self.ledger)
                self.reporter.begin(event.steps)
            else:
                self._end(event)
            if time.monotonic() > due or not self._threads:
                break
        if time.monotonic() > self._committed + COMMIT_SECONDS:
            self.ledger.commit()
            self._committed = time.monotonic()

    def _end(self, event: Ended) -> None:
        self._threads.pop(event.subset).join()
        subset, self._results[event.subset].error = self._subsets[event.subset], event.error
        if event.error is None and self._has_more(subset):
            # The next archive is read when the files of this one are processed: bounded disk.
            self._launch(subset)
        else:
            self._conclude(subset)

    def _has_more(self, subset: Subset) -> bool:
        """Whether archives of a subset are still to be listed in this run."""
        may_go_on = self.stages.fetch and not self.stop.is_set() and subset.id not in self._given
        return may_go_on and bool(subset.source.unlisted())

    def _conclude(self, subset: Subset) -> None:
        index = self._indices.pop(subset.id, None)
        conclude(
            subset,
            self.ledger,
            self.reporter,
            self._results[subset.id],
            stages=self.stages,
            index=None if subset.id in self._given else index,
            confirm_gone=self.confirm_gone,
            stopped=self.stop.is_set(),
        )


def _add_remedy(error: Blocked | Incomplete, also: str) -> Blocked | Incomplete:
    """The error with a second step; a copy, because a source may raise one object again."""
    told = copy.copy(error)
    told.remedy += f". Also: {also}" if also else ""
    return told


def _count(result: Result, outcomes: Sequence[Outcome]) -> None:
    for outcome in outcomes:
        result.throttled |= outcome.reason.has(Effect.REST)
        if not outcome.is_asset:
            result.changed[outcome.reason] = result.changed.get(outcome.reason, 0) + 1
            if outcome.state is State.GONE:
                result.seen_gone.add(outcome.key)
