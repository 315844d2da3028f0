"""One run: takes the lock, opens the ledger, drives the pipeline, and closes everything."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from saco_data import executors
from saco_data.config.settings import Settings
from saco_data.dataset.index import Index
from saco_data.engine import cleaning, outputs, partial_copy, provenance
from saco_data.engine.events import Reporter, Result, Stages
from saco_data.engine.pipeline import Pipeline
from saco_data.engine.planner import IsDue
from saco_data.engine.subset import bind
from saco_data.executors import Executor
from saco_data.model.errors import Interrupted, Terminated, most_severe
from saco_data.state.database import LedgerDamaged
from saco_data.state.ledger import Ledger
from saco_data.state.lock import Lock


@dataclass(frozen=True)
class Finished:
    """How a run ended: its exit code, and the result of each subset."""

    code: int
    results: dict[str, Result]


# A scheduler signals all processes of a job, and the job's script may pass its signal on: SIGTERMs
# that come within this time are one.
SAME_SECONDS = 5.0
_KEPT = "What is done is kept: run again to go on"
# Work under the lock before the subsets run; it must end soon once the event is set.
Prelude = Callable[[Ledger, threading.Event], None]


def run(
    settings: Settings,
    subsets: Sequence[str],
    command: str,
    reporter: Reporter,
    *,
    stages: Stages | None = None,
    confirm_gone: bool = False,
    indices: Mapping[str, Index] | None = None,
) -> int:
    """Prepares subsets as far as `stages` say; returns the exit code.

    `indices`: products that are given as a list instead of an annotation file; nothing is pruned.

    Raises LockHeld, DiskFull, OutputError, and Interrupted after a clean stop by Ctrl-C or SIGTERM.
    """
    return go(
        settings,
        subsets,
        command,
        reporter,
        stages=stages,
        confirm_gone=confirm_gone,
        indices=indices,
    ).code


def go(
    settings: Settings,
    subsets: Sequence[str],
    command: str,
    reporter: Reporter,
    *,
    stages: Stages | None = None,
    is_due: IsDue | None = None,
    confirm_gone: bool = False,
    renew: Mapping[str, Container[str]] | None = None,
    indices: Mapping[str, Index] | None = None,
    prelude: Prelude | None = None,
    clock: Callable[[], float] = time.time,
    executor: Executor | None = None,
) -> Finished:
    """As `run`, and returns the result of each subset. A damaged ledger is rebuilt, once.

    `is_due`, `renew`: see `Planner`. `prelude`: see `Prelude`. `clock`: as `time.time`, for the
    ledger. `executor`: instead of the one that the config names; it is closed at the end.
    """
    damaged = False
    bound = bind(settings, subsets)
    # Signals before the lock: Ctrl-C must never leave a lock behind.
    with (
        _handle_signals() as stopping,
        Lock(settings.state) as lock,
        outputs.open_bucket(settings, stopping.halt) as bucket,
    ):
        cleaning.sweep_shared(settings)
        while True:
            # A closed executor cannot be used again.
            running = executor or executors.make(settings)
            pipeline = None
            try:
                with Ledger(settings.state, damaged=damaged, clock=clock) as ledger:
                    number = ledger.begin_run(
                        f"{command} {' '.join(subset.id for subset in bound)}"
                    )
                    pipeline = Pipeline(
                        ledger,
                        running,
                        reporter,
                        stages=stages,
                        is_due=is_due,
                        confirm_gone=confirm_gone,
                        renew=renew,
                        indices=indices,
                    )
                    lock.on_lost = pipeline.halt
                    stopping.set_halt(pipeline.halt)
                    if bucket and indices is None:
                        bucket.refresh(ledger, bound)
                    if prelude:
                        prelude(ledger, pipeline.stop)
                    results = pipeline.run(bound)
                    # Its processes end while the files about the run are written.
                    closing = ThreadPoolExecutor(1, thread_name_prefix="closing")
                    closed = closing.submit(running.close)
                    closing.shutdown(wait=False)
                    is_processed = stages is None or stages.process
                    if bucket and indices is None and is_processed:
                        bucket.publish(ledger, bound, results, reporter, pipeline.stop)
                    code = most_severe([result.code for result in results.values()])
                    if stopping.asked:
                        code = stopping.error.exit_code
                    changed = {name: result.changed for name, result in results.items()}
                    ledger.end_run(number, code, changed)
                    all_stages = indices is None and (stages is None or stages == Stages())
                    if indices is None:
                        partial_copy.complete_folders(settings, ledger, bound)
                    if all_stages and not stopping.asked:
                        provenance.write_all(settings, ledger)
                closed.result()
                break
            except LedgerDamaged as error:
                running.close(now=True)
                if damaged:
                    raise
                if pipeline:
                    # Two threads must never work on one subset.
                    pipeline.join()
                damaged = True
                reporter.note(
                    "", f"{error.what}: it is kept under another name and rebuilt from the files"
                )
            except BaseException:
                running.close(now=True)
                raise
    if stopping.asked:
        stopping.error.results = results
        raise stopping.error
    return Finished(code, results)


class _Stopping:
    """Whether a signal asked the run to end, and the function that ends it."""

    def __init__(self) -> None:
        self.asked = False
        self.error: Interrupted = Interrupted("stopped by Ctrl-C", remedy=_KEPT)
        self._halt: Callable[[], None] = lambda: None
        self._terminated_at: float | None = None

    def set_halt(self, halt: Callable[[], None]) -> None:
        """Sets the function that ends the run; calls it at once if a signal came before."""
        self._halt = halt
        if self.asked:
            halt()

    def halt(self) -> None:
        """Ends the run as a signal does, but without one."""
        self._halt()

    def ask(self, number: int, frame: object) -> None:
        """The signal handler: the second signal ends everything at once."""
        first = self._terminated_at
        if self.asked:
            if number != signal.SIGTERM:
                raise KeyboardInterrupt
            if first is None or time.monotonic() - first > SAME_SECONDS:
                sys.exit(Terminated.exit_code)
            return
        if number == signal.SIGTERM:
            self._terminated_at = time.monotonic()
            self.error = Terminated("stopped by SIGTERM", remedy=_KEPT)
        self.asked = True
        self._halt()


@contextmanager
def _handle_signals() -> Iterator[_Stopping]:
    """The first Ctrl-C (or SIGTERM) asks the run to end cleanly, the second ends it at once."""
    stopping = _Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = {
        number: signal.signal(number, stopping.ask) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
