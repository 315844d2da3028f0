"""One run: takes the lock, opens the ledger, drives the pipeline, and closes everything."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from saco_data import executors
from saco_data.config import Settings
from saco_data.errors import Interrupted, most_severe
from saco_data.lane import Stages
from saco_data.ledger import Item, Ledger
from saco_data.lock import Lock
from saco_data.pipeline import Pipeline
from saco_data.report import Reporter


def run(
    settings: Settings,
    subsets: Sequence[str],
    command: str,
    reporter: Reporter,
    *,
    stages: Stages | None = None,
    look_again: Callable[[Item], bool] = lambda item: False,
) -> int:
    """Prepares subsets as far as `stages` say; returns the exit code.

    Raises LockHeld, DiskFull, OutputError, and Interrupted after a clean stop by Ctrl-C.
    """
    executor = executors.make(settings)
    with Lock(settings.state), Ledger(settings.state) as ledger:
        number = ledger.begin_run(f"{command} {' '.join(subsets)}")
        pipeline = Pipeline(
            settings, ledger, executor, reporter, stages=stages, look_again=look_again
        )
        try:
            with _stopping(pipeline.halt) as stopped:
                results = pipeline.run(subsets)
        except BaseException:
            executor.close(now=True)
            raise
        executor.close()
        code = most_severe([result.code for result in results.values()])
        if stopped.is_set():
            code = Interrupted.exit_code
        ledger.end_run(number, code, {name: each.changed for name, each in results.items()})
    if stopped.is_set():
        raise Interrupted("stopped by Ctrl-C", remedy="What is done is kept: run again to go on")
    return code


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
