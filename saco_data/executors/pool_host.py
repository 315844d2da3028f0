"""The program that runs the pool of worker processes of one `LocalExecutor`.

A pool inside the caller's own process would make every worker import the caller's main script
(multiprocessing does so to find functions defined there): a script without
`if __name__ == "__main__"` would run again in each of them. It would also share multiprocessing's
fork server with the caller's own pools. A program of our own avoids both.

Functions, arguments and results pass through as pickled bytes; only workers and caller open them.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import resource
import signal
import threading
import time
import traceback
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Semaphore

from pebble import CONSTS, ProcessExpired, ProcessPool

from saco_data.executors.messages import (
    NO_SHARED_MEMORY,
    Close,
    Died,
    Returned,
    Started,
    Task,
    TimedOut,
)

# Imported once, before the workers are forked: a worker that died is quickly replaced.
PRELOADED = [
    "saco_data.media.process",
    "saco_data.media.frames",
    "saco_data.executors.pool_host",
    "simplejpeg",
    "PIL.JpegImagePlugin",
]
_FULL = (errno.ENOSPC, errno.EDQUOT)
STARTS = 3  # attempts to start a first worker
END_SECONDS = 5.0
POLL_SECONDS = 0.5
KILL_SECONDS = 0.05


def main(handle: int, caller: int, width: int, memory_bytes: int, start_seconds: float) -> None:
    """Serves one caller until it closes the connection or no longer exists.

    `handle`: file descriptor of the connection. `caller`: process number of the caller.
    """
    # Programs started from here ignore them from their first moment.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # The pool ends a worker by SIGTERM, which workers ignore, and after this time by SIGKILL.
    CONSTS.term_timeout = KILL_SECONDS
    connection = Connection(handle)
    try:
        host = _Host(connection, caller, width, memory_bytes)
    except OSError as error:
        # Semaphores are in /dev/shm.
        problem = NO_SHARED_MEMORY if error.errno in _FULL else os.strerror(error.errno or 0)
        connection.send(Started(problem))
        return
    host.run(start_seconds)


class _Host:
    def __init__(self, connection: Connection, caller: int, width: int, memory_bytes: int) -> None:
        self._connection, self._caller, self._width = connection, caller, width
        self._memory_bytes = memory_bytes
        self._sending = threading.Lock()
        self._is_broken = threading.Event()
        self._tasks: dict[int, Task] = {}  # those without an answer
        self._replacements = STARTS - 1
        self._make_pool()

    def _make_pool(self) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self._ready = context.Semaphore(0)  # released once by every worker that has started
        self._pool = ProcessPool(
            max_workers=self._width,
            initializer=_prepare_worker,
            initargs=[self._memory_bytes, self._ready],
            context=context,
        )

    def run(self, start_seconds: float) -> None:
        try:
            self._await_worker(start_seconds)
        except Exception as error:
            self._send(Started(type(error).__name__))
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()
            return
        self._send(Started())
        while not isinstance(request := self._next_request(POLL_SECONDS), Close):
            if request is not None:
                self._start(request)
        if self._is_broken.is_set():
            # Tells the caller at once; what follows takes its time.
            self._connection.close()
        self._finish(now=request.now)

    def _await_worker(self, seconds: float) -> None:
        """Returns when a worker has started. One that dies may break or hang its pool."""
        for left in reversed(range(STARTS)):
            try:
                # The pool replaces workers that cannot start again and again: tasks would wait.
                self._pool.schedule(os.getpid).result(timeout=seconds / STARTS)
                return
            except (ProcessExpired, BrokenProcessPool, TimeoutError):
                if not left:
                    raise
                self._pool.stop()  # type: ignore[no-untyped-call]
                self._pool.join()
                self._make_pool()

    def _next_request(self, seconds: float) -> Task | Close | None:
        """The next request, None if none came in time, `Close` if none can come any more."""
        if os.getppid() != self._caller:
            return Close(now=True)
        if self._is_broken.is_set() and not self._replace_pool():
            return Close(now=True)
        try:
            return self._connection.recv() if self._connection.poll(seconds) else None
        except (EOFError, OSError):
            return Close(now=True)

    def _replace_pool(self) -> bool:
        """Gives all tasks to a new pool; False where too many broke down.

        A pool breaks down when a worker dies while none has a task: just after it started, say.
        """
        if not self._replacements:
            return False
        self._replacements -= 1
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()
        self._is_broken.clear()
        self._make_pool()
        for task in list(self._tasks.values()):
            self._start(task)
        return True

    def _start(self, task: Task) -> None:
        self._tasks[task.number] = task
        try:
            future = self._pool.schedule(_run, args=[task.payload], timeout=task.seconds)
        except RuntimeError:
            # The pool broke down while it had nothing to do.
            self._is_broken.set()
            return
        future.add_done_callback(lambda done: self._answer(task.number, done))

    def _answer(self, number: int, future: Future[bytes]) -> None:
        if future.cancelled():
            return
        error = future.exception()
        if isinstance(error, BrokenProcessPool):
            self._is_broken.set()
            return
        self._tasks.pop(number, None)
        if error is None:
            self._send(Returned(number, future.result()))
        elif isinstance(error, TimeoutError):
            self._send(TimedOut(number))
        elif isinstance(error, ProcessExpired):
            self._send(Died(number, error.exitcode))
        else:
            self._send(Returned(number, _pickle_error(error)))

    def _send(self, answer: Started | Returned | TimedOut | Died) -> None:
        try:
            with self._sending:
                self._connection.send(answer)
        except OSError:
            pass  # the caller has ended; `_serve` notices

    def _finish(self, *, now: bool) -> None:
        patience = time.monotonic() + END_SECONDS
        for _ in range(self._width):
            # A worker that is just starting would complain that its pool is gone.
            self._ready.acquire(timeout=max(0.0, patience - time.monotonic()))
        if now:
            self._pool.stop()  # type: ignore[no-untyped-call]
        else:
            self._pool.close()  # type: ignore[no-untyped-call]
        while True:
            try:
                self._pool.join(POLL_SECONDS)
                return
            except TimeoutError:
                request = self._next_request(0)
                if isinstance(request, Close) and request.now:
                    self._pool.stop()  # type: ignore[no-untyped-call]


def _prepare_worker(memory_bytes: int, ready: Semaphore) -> None:
    """Limits a worker's memory; makes it end with its parent, and at no signal but SIGKILL.

    A scheduler that stops a job sends SIGTERM to all its processes: the caller then lets the work
    under way end, and no failure is counted against a file.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_bytes if hard == resource.RLIM_INFINITY else min(memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    ready.release()


def _end_with(parent: int) -> None:
    # The kernel's own signal for this follows the thread that started the worker, not the process.
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    os._exit(1)


def _run(payload: bytes) -> bytes:
    """Runs a pickled (function, arguments); returns a pickled (succeeded, result or error)."""
    try:
        function, arguments = pickle.loads(payload)  # noqa: S301 - from our caller
        return pickle.dumps((True, function(*arguments)))
    except Exception as error:
        error.add_note(f"In a worker process:\n{traceback.format_exc()}")
        return _pickle_error(error)


def _pickle_error(error: BaseException) -> bytes:
    try:
        payload = pickle.dumps((False, error))
        pickle.loads(payload)  # noqa: S301 - some errors can be written but not read
    except Exception:
        return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
    return payload
