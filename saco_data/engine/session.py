"""One run: takes the lock, opens the ledger, drives the pipeline, and closes everything."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from saco_data import executors
from saco_data.config.settings import Settings
from saco_data.dataset.index import Index
from saco_data.engine import provenance
from saco_data.engine.events import Reporter, Result, Stages
from saco_data.engine.pipeline import Pipeline
from saco_data.engine.planner import IsDue
from saco_data.engine.subset import bind
from saco_data.executors import Executor
from saco_data.model.errors import Interrupted, most_severe
from saco_data.state.database import LedgerDamaged
from saco_data.state.ledger import Ledger
from saco_data.state.lock import Lock


@dataclass(frozen=True)
class Finished:
    """How a run ended: its exit code, and how each subset did."""

    code: int
    results: dict[str, Result]


# What happens under the lock before subsets go their road; the event asks it to end soon.
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

    Raises LockHeld, DiskFull, OutputError, and Interrupted after a clean stop by Ctrl-C.
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
    """As `run`, and says what changed. A ledger that proves damaged is rebuilt, once.

    `is_due`, `renew`: see `Planner`. `prelude` comes before it, under the lock. `clock`: as
    `time.time`, for the ledger. `executor`: instead of the one that the config names; it is closed
    at the end.
    """
    damaged = False
    bound = bind(settings, subsets)
    # Before the lock: Ctrl-C must never leave one behind.
    with _stopping() as stopping, Lock(settings.state) as lock:
        while True:
            # A pool that was closed cannot be used again.
            at_work = executor or executors.make(settings)
            pipeline = None
            try:
                with Ledger(settings.state, damaged=damaged, clock=clock) as ledger:
                    number = ledger.begin_run(
                        f"{command} {' '.join(subset.id for subset in bound)}"
                    )
                    pipeline = Pipeline(
                        ledger,
                        at_work,
                        reporter,
                        stages=stages,
                        is_due=is_due,
                        confirm_gone=confirm_gone,
                        renew=renew,
                        indices=indices,
                    )
                    lock.on_lost = pipeline.halt
                    stopping.halts(pipeline.halt)
                    if prelude:
                        prelude(ledger, pipeline.stop)
                    results = pipeline.run(bound)
                    at_work.close()
                    code = most_severe([result.code for result in results.values()])
                    if stopping.asked:
                        code = Interrupted.exit_code
                    changed = {name: each.changed for name, each in results.items()}
                    ledger.end_run(number, code, changed)
                    whole_road = indices is None and (stages is None or stages == Stages())
                    if whole_road and not stopping.asked:
                        provenance.write(settings, ledger)
                break
            except LedgerDamaged as error:
                at_work.close(now=True)
                if damaged:
                    raise
                if pipeline:
                    # Never two threads on one subset.
                    pipeline.join()
                damaged = True
                reporter.note("", f"{error.what}: it is set aside and rebuilt from the files")
            except BaseException:
                at_work.close(now=True)
                raise
    if stopping.asked:
        raise Interrupted("stopped by Ctrl-C", remedy="What is done is kept: run again to go on")
    return Finished(code, results)


class _Stopping:
    """Whether a signal asked the run to end, and what ends it."""

    def __init__(self) -> None:
        self.asked = False
        self._halt: Callable[[], None] = lambda: None

    def halts(self, halt: Callable[[], None]) -> None:
        """Names what ends the run from now on; called at once if a signal came before."""
        self._halt = halt
        if self.asked:
            halt()

    def ask(self, number: int, frame: object) -> None:
        """The signal handler: the second time ends everything at once."""
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        self._halt()


@contextmanager
def _stopping() -> Iterator[_Stopping]:
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
