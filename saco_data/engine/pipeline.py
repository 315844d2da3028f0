"""Drives plan -> fetch -> process -> verify -> prune for all subsets; the one ledger writer.

Each subset has a lane (a thread); lanes share the executor. Everything they learn comes through
one queue to the main thread, which records it, shows it, and prunes when a lane has ended.
"""

from __future__ import annotations

import queue
import threading
import time
import traceback
from collections.abc import Callable, Container, Mapping, Sequence, Set
from dataclasses import replace

from saco_data import sources
from saco_data.config.settings import Settings
from saco_data.dataset import pruned
from saco_data.dataset.index import Index, read
from saco_data.engine import freshness, gone_policy, reading, verify
from saco_data.engine.events import Event, Learned, Reporter, Result, Stages
from saco_data.engine.subset_run import Lane
from saco_data.executors import Executor
from saco_data.model.errors import Blocked, Incomplete, SacoError, most_severe
from saco_data.model.items import Item, SubsetFacts
from saco_data.model.reasons import Effect, Reason, State
from saco_data.model.records import Outcome
from saco_data.planning import costs, disk, plan
from saco_data.planning.decisions import SubsetPlan
from saco_data.planning.view import View, gather_view
from saco_data.sources import requirements
from saco_data.sources.annotation_files import Annotations
from saco_data.state.database import LedgerDamaged
from saco_data.state.ledger import Ledger
from saco_data.storage import files

COMMIT_SECONDS = 0.5


_OTHER = "the annotations mean another frame or size by it now"


_ALL_GONE = (
    "the source says that files are gone and has not given a single one; a wrong address would say "
    "so too, so nothing was left out. Check the raw medium and `endpoints` in the config; if it is "
    "true, say so: `saco prune --confirm-gone`"
)


STOPPING = "stopping: what is under way comes to its end; Ctrl-C again stops at once"


class Pipeline:
    """One run over some subsets.

    `look_again`: which items that are not done are due, by default what a `prepare` looks at.
    `renew`: assets by subset that the source has in another version by now, to be fetched anew.
    `confirm_gone`: take sources at their word now (see `gone_confirm_hours` in the config).
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        executor: Executor,
        reporter: Reporter,
        *,
        stages: Stages | None = None,
        look_again: Callable[[Item], bool] | None = None,
        confirm_gone: bool = False,
        renew: Mapping[str, Container[str]] | None = None,
        indices: Mapping[str, Index] | None = None,
    ) -> None:
        self.settings = settings
        self.ledger = ledger
        self.executor = executor
        self.reporter = reporter
        self.stages = stages or Stages()
        self.look_again = look_again or gone_policy.second_look(settings, ledger.now())
        self.confirm_gone = confirm_gone
        self.renew = {} if renew is None else renew
        self.stop = threading.Event()
        self._events: queue.Queue[Event] = queue.Queue()
        self._threads: dict[str, threading.Thread] = {}
        self._given = indices or {}
        self._indices: dict[str, Index] = {}
        self._annotations = Annotations(settings)
        self._room = disk.Room()

    def run(self, subsets: Sequence[str]) -> dict[str, Result]:
        """Goes the road with every subset; returns how each ended.

        Whatever befalls one subset, the others go on. Raises only what concerns them all:
        DiskFull and OutputError of the ledger, KeyboardInterrupt.
        """
        results = {subset: Result(subset) for subset in subsets}
        threads = self._threads
        try:
            for subset, result in results.items():
                lane = self._start(subset, result)
                if lane:
                    threads[subset] = threading.Thread(target=lane.run, name=subset, daemon=True)
                    threads[subset].start()
                self._drain(results, threads, wait=False)
            told = False
            while threads:
                self._drain(results, threads, wait=True)
                if self.stop.is_set() and not told:
                    told = True
                    self.reporter.note("", STOPPING)
        except BaseException:
            self.stop.set()
            raise
        finally:
            self.ledger.commit()
        return results

    def join(self) -> None:
        """Waits for lanes that an error left behind."""
        for thread in self._threads.values():
            thread.join()

    def halt(self) -> None:
        """Asks all lanes to end soon; what is done is kept."""
        self.stop.set()

    def _start(self, subset: str, result: Result) -> Lane | None:
        """Reads, plans and makes the lane; None where there is nothing to go on."""
        try:
            source = sources.get(subset, self.settings)
            if self._settled(source):
                result.steps = SubsetPlan(subset, settled=self.ledger.facts(subset).files)
                self.reporter.begin(result.steps)
                self._conclude(result, None)
                return None
            index = self._index(result)
            recalled = self.ledger.restore_rows(subset, index.products)
            known = self.ledger.known(subset)
            self._note(result, index, known.keys() - recalled)
            renew = self.renew.get(subset, ())
            processes = self.stages.process
            other = gone_policy.other_meaning(self.ledger, subset, index) if processes else ()
            view = gather_view(self.settings, source, known, self.look_again, renew, other)
            self._lost(result, source, index, known, view)
            result.steps = plan.make(subset, index.products.values(), view)
            self._indices[subset] = index
            self.ledger.archive_rows(subset, known.keys() - index.products.keys())
            self.ledger.commit()
            assets = self.ledger.items(subset, is_asset=True)
            self._make_room(source, result.steps, assets)
            self.reporter.begin(result.steps)
            return Lane(
                self.settings,
                subset,
                result.steps,
                stages=self.stages,
                executor=self.executor,
                assets=assets,
                post=self._events.put,
                stop=self.stop,
            )
        except LedgerDamaged:
            raise
        except Exception as error:
            # Who gets the annotations now should not meet the next obstacle in the next run.
            if (
                isinstance(error, Blocked | Incomplete)
                and subset not in self._indices
                and (also := requirements.raw_media(self.settings, subset))
            ):
                error.remedy += f". Also: {also}"
            self._conclude(result, error)
            return None

    def _settled(self, source: sources.Source) -> bool:
        subset = source.name
        if subset in self._given or self.renew.get(subset) or self.confirm_gone:
            return False
        return freshness.settled(self.settings, self.ledger, source, self.look_again)

    def _note(self, result: Result, index: Index, known: Set[str]) -> None:
        """Takes note of the annotations, and that this subset is under way."""
        subset = result.subset
        for warning in index.warnings:
            self.reporter.note(subset, f"warning: {warning}")
        before = self.ledger.facts(subset).sha256
        if before and before != index.sha256:
            result.changes.annotations = {
                "before": before,
                "now": index.sha256,
                "added": len(index.products.keys() - known),
                "dropped": len(known - index.products.keys()),
            }
        reading.note_index(self.settings, self.ledger, subset, index, result.stamped)
        facts = self.ledger.facts(subset)
        facts.ended = []
        self.ledger.set_facts(subset, facts)

    def _lost(
        self,
        result: Result,
        source: sources.Source,
        index: Index,
        known: dict[str, Item],
        view: View,
    ) -> None:
        """Takes note of products that were done and are lost, cut off, or of another revision.

        With `process`, removes what is left of them. Of those that are to be as they were `known`
        has the digest then.
        """
        subset, lost, same = source.name, [], []
        for name, product in index.products.items():
            item, size = known.get(name), view.sizes.get(name)
            if item is None:
                continue
            other = name in view.other
            if item.state is not State.DONE and not (other and size is not None):
                continue
            if other:
                detail = _OTHER
            elif size is None:
                detail = "the file is missing"
            elif size != item.bytes:
                detail = f"has {size} of {item.bytes} bytes"
            else:
                continue
            if item.state is State.DONE:
                lost.append(Outcome(subset, name, Reason.PRODUCT_LOST, detail, tried=False))
                if not other:
                    same.append(name)
            view.sizes.pop(name, None)
            if self.stages.process:
                verify.discard(self.settings, source, product, Reason.WRONG_DIGEST)
        result.changes.add(self.ledger.record(lost))
        if self.stages.process:
            facts = self.ledger.facts(subset)
            facts.compared_sha256 = index.sha256
            self.ledger.set_facts(subset, facts)
        before = self.ledger.not_done(subset) if same else {}
        known.update({name: replace(known[name], sha256=before[name].sha256) for name in same})

    def _make_room(
        self, source: sources.Source, steps: SubsetPlan, assets: Mapping[str, Item]
    ) -> None:
        """Says what may not fit on the disk. Raises DiskFull for what certainly does not."""
        if self.stages.fetch:
            cost = costs.of_plan(self.settings, source, steps, assets, products=self.stages.process)
            for warning in self._room.reserve(cost):
                self.reporter.note(steps.subset, f"warning: may not fit on the disk: {warning}")

    def _index(self, result: Result) -> Index:
        """What is given or, freshly read, annotated."""
        subset = result.subset
        given = self._given.get(subset)
        if given is None and self.stages.fetch and (got := self._annotations.ensure(subset)):
            self.reporter.note(subset, f"annotation file fetched from {got.origin}")
        path = self.settings.pristine(subset) if given is None else given.path
        # Before the reading: what comes later is another file.
        result.stamped = files.stamp(path)
        return given or read(path, self.settings.manifest(subset))

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
                result = results[event.subset]
                result.changes.add(self.ledger.record(event.outcomes))
                self._count(result, event.outcomes)
                self.reporter.learned(event.subset, event.outcomes)
            else:
                threads.pop(event.subset).join()
                self._conclude(results[event.subset], event.error)
            if time.monotonic() > due or not threads:
                break
        self.ledger.commit()

    def _count(self, result: Result, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            result.throttled |= outcome.reason.has(Effect.REST)
            if not outcome.is_asset:
                result.changed[outcome.reason] = result.changed.get(outcome.reason, 0) + 1
                if outcome.state is State.GONE:
                    result.seen_gone.add(outcome.key)

    def _conclude(self, result: Result, error: BaseException | None) -> None:
        """Prunes what may be pruned and settles the exit code."""
        subset = result.subset
        throttled = isinstance(error, Blocked) and error.reason.has(Effect.REST)
        if not (result.throttled or throttled):
            self.ledger.witness(subset, result.seen_gone)
        if self.confirm_gone:
            self.ledger.confirm_gone(subset)
        facts = self.ledger.facts(subset)
        index = self._indices.pop(subset, None)
        pruned = index is not None and subset not in self._given
        try:
            if pruned and index is not None:
                self._prune(subset, index, facts)
        except LedgerDamaged:
            raise
        except Exception as failed:
            error = error or failed
        result.error = error
        if pruned and error is None and self.stages.process and not self.stop.is_set():
            source = sources.get(subset, self.settings)
            facts.ended = freshness.ending(self.settings, source, result.stamped)
        facts.waits = [error.reason, str(error)] if isinstance(error, Blocked) else []
        self.ledger.set_facts(subset, facts)
        self.ledger.commit()
        result.code = self._code(result)
        if error is not None:
            self.reporter.note(subset, _in_words(error))
        self.reporter.end(subset, result.code)

    def _prune(self, subset: str, index: Index, facts: SubsetFacts) -> None:
        gone = gone_policy.removable(self.settings, self.ledger, subset)
        to = self.settings.pruned(subset)
        digest = pruned.keep_list_sha256(name for name in index.products if name not in gone)
        removed = pruned.removed_sha256(gone)
        up_to_date = (
            facts.derived_stamp == freshness.derived_stamp(self.settings, subset)
            and facts.derived_from == index.sha256
            and facts.keep_list_sha256 == digest
            and facts.removed_sha256 == removed
        )
        if not up_to_date:
            done = pruned.run(index.path, index.sha256, to, index.products, gone)
            facts.image_nps_kept, facts.masks_kept = done.image_nps, done.masks
            facts.keep_list_sha256 = done.keep_list_sha256
        facts.derived_from = index.sha256
        facts.derived_stamp = freshness.derived_stamp(self.settings, subset)
        facts.removed_sha256 = removed
        waiting = self.ledger.items(subset, state=State.GONE).keys() - gone.keys()
        facts.unconfirmed = len(waiting) if self.settings.may_prune(subset) else 0
        if gone_policy.doubtful(self.settings, self.ledger, subset):
            self.reporter.note(subset, _ALL_GONE)

    def _code(self, result: Result) -> int:
        codes = []
        if result.error is not None:
            known = isinstance(result.error, SacoError)
            codes.append(result.error.exit_code if known else 1)  # type: ignore[attr-defined]
        # Who only downloads has made nothing of it yet.
        whole = self.stages.process or not self.stages.fetch
        codes += gone_policy.exit_codes(self.settings, self.ledger, result.subset, whole=whole)
        return most_severe(codes)


def _in_words(error: BaseException) -> str:
    if isinstance(error, SacoError):
        return str(error)
    lines = "".join(traceback.format_exception(error))
    return f"this is a bug in saco-data, please report it:\n{lines}"
