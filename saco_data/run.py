"""One run: takes the lock, opens the ledger, drives the pipeline, and closes everything."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from saco_data import executors
from saco_data.annotations import Index
from saco_data.config import Settings
from saco_data.errors import Interrupted, most_severe
from saco_data.executors import Executor
from saco_data.lane import Stages
from saco_data.ledger import Item, Ledger, LedgerDamaged
from saco_data.lock import Lock
from saco_data.pipeline import Pipeline, Result
from saco_data.report import Reporter


@dataclass(frozen=True)
class Finished:
    """How a run ended: its exit code, and how each subset did."""

    code: int
    results: dict[str, Result]


# What happens under the lock before subsets go their road; its events are to be recorded by itself.
Prelude = Callable[[Ledger, Executor], None]


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
    look_again: Callable[[Item], bool] | None = None,
    confirm_gone: bool = False,
    indices: Mapping[str, Index] | None = None,
    prelude: Prelude | None = None,
    clock: Callable[[], float] = time.time,
    executor: Executor | None = None,
) -> Finished:
    """As `run`, and says what changed. A ledger that proves damaged is rebuilt, once.

    `look_again`: see `Pipeline`. `clock`: as `time.time`, for the ledger. `executor`: instead of
    the one that the config names; it is closed at the end.
    """
    damaged = False
    with Lock(settings.state) as lock:
        while True:
            # A pool that was closed cannot be used again.
            at_work = executor or executors.make(settings)
            try:
                with Ledger(settings.state, damaged=damaged, clock=clock) as ledger:
                    number = ledger.begin_run(f"{command} {' '.join(subsets)}")
                    pipeline = Pipeline(
                        settings,
                        ledger,
                        at_work,
                        reporter,
                        stages=stages,
                        look_again=look_again,
                        confirm_gone=confirm_gone,
                        indices=indices,
                    )
                    lock.on_lost = pipeline.halt
                    with _stopping(pipeline.halt) as stopped:
                        if prelude:
                            prelude(ledger, at_work)
                        results = pipeline.run(subsets)
                    at_work.close()
                    code = most_severe([result.code for result in results.values()])
                    if stopped.is_set():
                        code = Interrupted.exit_code
                    changed = {name: each.changed for name, each in results.items()}
                    ledger.end_run(number, code, changed)
                break
            except LedgerDamaged as error:
                at_work.close(now=True)
                if damaged:
                    raise
                damaged = True
                reporter.note("", f"{error.what}: it is set aside and rebuilt from the files")
            except BaseException:
                at_work.close(now=True)
                raise
    if stopped.is_set():
        raise Interrupted("stopped by Ctrl-C", remedy="What is done is kept: run again to go on")
    return Finished(code, results)


@contextmanager
def _stopping(halt: Callable[[], None]) -> Iterator[threading.Event]:
    """The first Ctrl-C (or SIGTERM) asks the run to end cleanly, the second ends it at once."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def interrupt(number: int, frame: object) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()
        halt()

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
