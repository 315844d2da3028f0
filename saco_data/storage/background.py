"""Threads that finish written files while their caller writes the next ones."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

THREADS = 4  # syncs that a disk gets at once


class Background:
    """Calls functions in a few threads, at most twice as many at once as there are threads.

    An error of one of them is raised at the next call, or at the end of the context, which waits
    for all that was begun.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="background")
        self._slots = threading.Semaphore(2 * THREADS)
        self._error: BaseException | None = None

    def __enter__(self) -> Background:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown()
        if error is None and self._error:
            raise self._error

    def call(self, function: Callable[..., object], *arguments: object) -> None:
        """Calls a function soon. Waits while many wait already; raises what an earlier one did."""
        self._slots.acquire()
        self._pool.submit(self._run, function, arguments)
        if self._error:
            raise self._error

    def _run(self, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        try:
            function(*arguments)
        except BaseException as error:
            self._error = self._error or error
        finally:
            self._slots.release()
