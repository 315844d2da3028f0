"""Drives plan -> fetch -> process -> verify -> prune for all subsets; the one ledger writer.

Each subset has a lane (a thread); lanes share the executor. Everything they learn comes through
one queue to the main thread, which records it, shows it, and prunes when a lane has ended.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from saco_data import plan, prune, sources, survey
from saco_data.annotations import Index
from saco_data.books import read_annotations, removable, stamp
from saco_data.config import Settings
from saco_data.errors import Blocked, SacoError, most_severe
from saco_data.executors import Executor
from saco_data.lane import Event, Lane, Learned, Stages
from saco_data.ledger import Item, Ledger, SubsetFacts
from saco_data.plan import SubsetPlan
from saco_data.records import Outcome, State
from saco_data.report import Reporter

COMMIT_SECONDS = 0.5


@dataclass
class Result:
    """How a subset ended: exit code, what was done, and the error that stopped it, if any."""

    subset: str
    code: int = 0
    steps: SubsetPlan | None = None
    error: BaseException | None = None
    changed: dict[str, int] = field(default_factory=dict)


class Pipeline:
    """One run over some subsets. `look_again` says which items that are gone are due."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        executor: Executor,
        reporter: Reporter,
        *,
        stages: Stages | None = None,
        look_again: Callable[[Item], bool] = lambda item: False,
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.executor = executor
        self.reporter = reporter
        self.stages = stages or Stages()
        self.look_again = look_again
        self.stop = threading.Event()
        self._events: queue.Queue[Event] = queue.Queue()
        self._indices: dict[str, Index] = {}

    def run(self, subsets: Sequence[str]) -> dict[str, Result]:
        """Goes the road with every subset; returns how each ended.

        Whatever befalls one subset, the others go on. Raises only what concerns them all:
        DiskFull and OutputError of the ledger, KeyboardInterrupt.
        """
        results = {subset: Result(subset) for subset in subsets}
        threads: dict[str, threading.Thread] = {}
        try:
            for subset, result in results.items():
                lane = self._start(subset, result)
                if lane:
                    threads[subset] = threading.Thread(target=lane.run, name=subset, daemon=True)
                    threads[subset].start()
                self._drain(results, threads, wait=False)
            while threads:
                self._drain(results, threads, wait=True)
        except BaseException:
            self.stop.set()
            raise
        finally:
            self.ledger.commit()
        return results

    def halt(self) -> None:
        """Asks all lanes to end soon; what is done is kept."""
        self.stop.set()

    def _start(self, subset: str, result: Result) -> Lane | None:
        """Reads, plans and makes the lane; None where there is nothing to go on."""
        try:
            index = read_annotations(self.settings, self.ledger, subset)
            for warning in index.warnings:
                self.reporter.note(subset, f"warning: {warning}")
            items = self.ledger.items(subset)
            source = sources.get(subset, self.settings)
            view = survey.view(self.settings, source, items, self.look_again)
            result.steps = plan.make(subset, index.products.values(), view)
            self._indices[subset] = index
            self.ledger.forget(subset, items.keys() - index.products.keys())
            self.reporter.begin(result.steps)
            return Lane(
                self.settings,
                subset,
                result.steps,
                stages=self.stages,
                executor=self.executor,
                assets=self.ledger.items(subset, is_asset=True),
                post=self._events.put,
                stop=self.stop,
            )
        except Exception as error:
            self._conclude(result, error)
            return None

    def _drain(
        self, results: dict[str, Result], threads: dict[str, threading.Thread], *, wait: bool
    ) -> None:
        """Records what has been learned; with `wait`, at most until the next commit is due."""
        due = time.monotonic() + COMMIT_SECONDS
        while True:
            try:
                left = due - time.monotonic()
                event = self._events.get(block=wait and left > 0, timeout=max(left, 0.001))
            except queue.Empty:
                break
            if isinstance(event, Learned):
                self.ledger.record(event.outcomes)
                self._count(results[event.subset], event.outcomes)
                self.reporter.learned(event.subset, event.outcomes)
            else:
                threads.pop(event.subset).join()
                self._conclude(results[event.subset], event.error)
            if time.monotonic() > due or not threads:
                break
        self.ledger.commit()

    def _count(self, result: Result, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if not outcome.is_asset:
                result.changed[outcome.reason] = result.changed.get(outcome.reason, 0) + 1

    def _conclude(self, result: Result, error: BaseException | None) -> None:
        """Prunes what may be pruned and settles the exit code."""
        subset = result.subset
        facts = self.ledger.facts(subset)
        index = self._indices.pop(subset, None)
        try:
            if index is not None:
                self._prune(subset, index, facts)
        except (SacoError, OSError) as failed:
            error = error or failed
        result.error = error
        facts.waits = [error.reason, str(error)] if isinstance(error, Blocked) else []
        self.ledger.set_facts(subset, facts)
        self.ledger.commit()
        result.code = self._code(result)
        if error is not None:
            self.reporter.note(subset, _in_words(error))
        self.reporter.end(subset, result.code)

    def _prune(self, subset: str, index: Index, facts: SubsetFacts) -> None:
        gone = removable(self.settings, self.ledger, subset)
        to = self.settings.pruned(subset)
        digest = prune.keep_list_sha256(name for name in index.products if name not in gone)
        up_to_date = (
            facts.derived_stamp == stamp(to)
            and facts.derived_from == index.sha256
            and facts.keep_list_sha256 == digest
        )
        if not up_to_date:
            done = prune.run(index.path, index.sha256, to, index.products, gone)
            facts.image_nps_kept, facts.masks_kept = done.image_nps, done.masks
            facts.keep_list_sha256 = done.keep_list_sha256
        facts.derived_from = index.sha256
        facts.derived_stamp = stamp(to)

    def _code(self, result: Result) -> int:
        codes = []
        if result.error is not None:
            known = isinstance(result.error, SacoError)
            codes.append(result.error.exit_code if known else 1)  # type: ignore[attr-defined]
        counts = self.ledger.counts(result.subset)
        states = {reason.state for reason, count in counts.items() if count}
        if State.BLOCKED in states:
            codes.append(Blocked.exit_code)
        facts = self.ledger.facts(result.subset)
        unfinished = self.stages.process and sum(counts.values()) < facts.files
        if State.FAILED in states or unfinished:
            codes.append(3)
        return most_severe(codes)


def _in_words(error: BaseException) -> str:
    if isinstance(error, SacoError):
        return str(error)
    lines = "".join(traceback.format_exception(error))
    return f"this is a bug in saco-data, please report it:\n{lines}"
