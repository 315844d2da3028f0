"""Worker processes on this machine, limited in time and memory, replaced when they die."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from multiprocessing import forkserver, resource_tracker
from multiprocessing.synchronize import Semaphore
from typing import Any, TypeVar

from saco_data.executors import WorkerLost
from saco_data.model.errors import SacoError

R = TypeVar("R")
MEMORY_BYTES = 4 << 30
START_SECONDS = 60.0
END_SECONDS = 5.0
PRELOAD = ["saco_data.media.process", "saco_data.media.frames"]


class LocalExecutor:
    """A pool of `width` processes. It starts with the first task, so idle runs pay nothing."""

    def __init__(self, width: int, memory_bytes: int = MEMORY_BYTES) -> None:
        self.width = width
        self._memory = memory_bytes
        self._pool: Any = None
        self._up: Any = None  # a semaphore: released by each worker that is up
        self._starting = threading.Lock()

    def submit(self, function: Callable[..., R], *arguments: Any, seconds: float) -> Future[R]:
        """See `Executor.submit`."""
        from concurrent.futures.process import BrokenProcessPool

        from pebble import ProcessExpired

        outer: Future[R] = Future()
        pool = self._started()
        try:
            inner = pool.schedule(function, args=list(arguments), timeout=seconds)
        except RuntimeError as error:
            # The pool itself broke down; the next task gets a new one.
            self._forget(pool)
            outer.set_exception(WorkerLost(f"the worker pool broke down ({error})"))
            return outer

        def hand_over(future: Any) -> None:
            if future.cancelled():
                outer.cancel()
                return
            error = future.exception()
            if isinstance(error, ProcessExpired):
                error = WorkerLost(f"worker process died (exit code {error.exitcode})")
            elif isinstance(error, BrokenProcessPool):
                self._forget(pool)
                error = WorkerLost(f"the worker pool broke down ({error})")
            if error is None:
                outer.set_result(future.result())
            else:
                outer.set_exception(error)

        inner.add_done_callback(hand_over)
        return outer

    def close(self, *, now: bool = False) -> None:
        """See `Executor.close`."""
        if self._pool is None:
            return
        patience = time.monotonic() + END_SECONDS
        for _ in range(self.width):
            # A worker that is still on its way up would miss what the pool takes down, and say so.
            self._up.acquire(timeout=max(0.0, patience - time.monotonic()))
        if now:
            self._pool.stop()
        else:
            self._pool.close()
        self._pool.join()

    def _forget(self, pool: Any) -> None:
        with self._starting:
            if self._pool is pool:
                self._pool = None

    def _started(self) -> Any:
        # Several subset threads may bring the first task at once.
        with self._starting:
            if self._pool is None:
                from pebble import ProcessPool

                # Workers are forked from a clean process that has the decoders loaded: quick to
                # replace, and free of this process's threads.
                context = multiprocessing.get_context("forkserver")
                context.set_forkserver_preload(PRELOAD)
                _start_quietly()
                self._up = context.Semaphore(0)
                pool = ProcessPool(
                    max_workers=self.width,
                    initializer=_prepare_worker,
                    initargs=[self._memory, self._up],
                    context=context,
                )
                # The pool would replace workers that cannot start for ever, and tasks wait.
                try:
                    pool.schedule(os.getpid).result(timeout=START_SECONDS)
                except Exception as error:
                    pool.stop()  # type: ignore[no-untyped-call]
                    raise SacoError(
                        f"no worker process can start ({type(error).__name__})",
                        remedy="See the messages above; `ulimit -a` may tell what is short",
                    ) from error
                self._pool = pool
            return self._pool


def _start_quietly() -> None:
    """Starts the clean process where Ctrl-C, which a terminal sends to all, cannot reach it.

    It ignores the signal only once it has loaded the decoders; that takes seconds. It imports what
    this process would: `python -c` alone would look in the current folder first.
    """
    path = {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    before = {name: os.environ.get(name) for name in path}
    os.environ.update(path)
    try:
        resource_tracker.ensure_running()  # which would lift the mask
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            forkserver.ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def _prepare_worker(memory_bytes: int, up: Semaphore) -> None:
    """Ctrl-C is the parent's business; a worker dies with its parent and within its memory."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_die_with, args=[os.getppid()], daemon=True).start()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    up.release()


def _die_with(parent: int) -> None:
    # The kernel's own signal for this follows the thread that started the worker, not the process.
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
