"""Worker processes on this machine, limited in time and memory, replaced when they die."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from saco_data.executors import WorkerLost
from saco_data.executors.messages import (
    NO_SHARED_MEMORY,
    Close,
    Died,
    Returned,
    Started,
    Task,
    TimedOut,
)
from saco_data.model.errors import DiskFull, Incomplete, SacoError

R = TypeVar("R")
MEMORY_BYTES = 4 << 30
START_SECONDS = 60.0
STOP_SECONDS = 30.0
_PROGRAM = "from saco_data.executors.pool_host import main; main({}, {}, {}, {}, {})"


class LocalExecutor:
    """A pool of `width` processes, each limited to `memory_bytes` of address space.

    It starts when tasks are announced or come, so that a run without work costs nothing. The pool
    runs in a program of its own (see `pool_host`): workers never import the caller's main script.
    """

    def __init__(self, width: int, memory_bytes: int = MEMORY_BYTES) -> None:
        self.width = width
        self._memory = memory_bytes
        self._pool: _Pool | None = None
        self._is_closed = False
        self._starting = threading.Lock()

    def start(self) -> None:
        """See `Executor.start`."""
        if self._pool is not None:
            return  # the lock may be held by a first task that waits for the pool
        # What is wrong is told by the first task.
        with self._starting, contextlib.suppress(OSError):
            if self._pool is None and not self._is_closed:
                self._pool = _Pool(self.width, self._memory)

    def submit(self, function: Callable[..., R], *arguments: Any, seconds: float) -> Future[R]:
        """See `Executor.submit`."""
        payload = pickle.dumps((function, arguments))
        # Several threads may bring the first task at once.
        with self._starting:
            if self._is_closed:
                late: Future[R] = Future()
                late.cancel()
                return late
            if self._pool is None or not self._pool.is_running:
                self._pool = _Pool(self.width, self._memory)
            pool = self._pool
            pool.wait_for_start()
        return pool.submit(payload, seconds)

    def close(self, *, now: bool = False) -> None:
        """See `Executor.close`."""
        with self._starting:
            self._is_closed = True
        if self._pool is not None:
            self._pool.close(now=now)


class _Pool:
    """A `pool_host` that starts or runs. `is_running`: it may take tasks."""

    def __init__(self, width: int, memory_bytes: int) -> None:
        self.is_running = True
        self._tasks: dict[int, Future[Any]] = {}
        self._count = 0
        self._changing = threading.Lock()
        self._sending = threading.Lock()
        self._is_closing = False
        self._starting = threading.Lock()
        self._reader: threading.Thread | None = None
        self._connection, theirs = multiprocessing.Pipe()
        with theirs:
            arguments = (theirs.fileno(), os.getpid(), width, memory_bytes, START_SECONDS)
            # Ctrl-C in a terminal reaches all its processes, and so does the SIGTERM of a
            # scheduler, but only the caller shall act on them. The program ignores them by itself
            # as soon as it has started.
            mask = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _PROGRAM.format(*arguments)],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    # One thread for each worker: NumPy's BLAS would start one for each core.
                    env={"OPENBLAS_NUM_THREADS": "1", **os.environ, **python_path()},
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def wait_for_start(self) -> None:
        """Returns when a worker has started. Raises SacoError when none can."""
        with self._starting:
            if self._reader is not None or not self.is_running:
                return
            try:
                self._receive_start()
            except BaseException:
                self.is_running = False
                self._connection.close()
                self._reap()
                raise
            self._reader = threading.Thread(target=self._read, name="worker results", daemon=True)
            self._reader.start()

    def _receive_start(self) -> None:
        problem = "no answer"
        try:
            if self._connection.poll(START_SECONDS + 1):
                answer = self._connection.recv()
                assert isinstance(answer, Started)
                problem = answer.problem
        except (EOFError, OSError):
            problem = "the worker pool ended"
        if problem == NO_SHARED_MEMORY:
            raise DiskFull(
                problem,
                item="the file system /dev/shm",
                remedy="Free some of it, or give the container more (--shm-size), and run again",
            )
        if problem:
            raise Incomplete(
                f"no worker process can start ({problem})",
                remedy="See the messages above; `ulimit -a` may tell what is short",
            )

    def submit(self, payload: bytes, seconds: float) -> Future[Any]:
        future: Future[Any] = Future()
        with self._changing:
            self._count += 1
            number = self._count
            self._tasks[number] = future
        try:
            with self._sending:
                self._connection.send(Task(number, payload, seconds))
        except OSError:
            # The program has just ended; its reader may have settled the task already.
            with self._changing:
                unsettled = self._tasks.pop(number, None)
            if unsettled:
                unsettled.set_exception(_broken())
        return future

    def close(self, *, now: bool) -> None:
        # A program that is ended while it starts would complain.
        with contextlib.suppress(SacoError):
            self.wait_for_start()
        if self._reader is None:
            return
        self._is_closing = True
        # It may have ended already.
        with contextlib.suppress(OSError), self._sending:
            self._connection.send(Close(now))
        self._reader.join(STOP_SECONDS if now else None)
        if self._reader.is_alive():
            self._process.kill()
            self._reader.join()

    def _read(self) -> None:
        try:
            while True:
                self._settle(self._connection.recv())
        except (EOFError, OSError):
            pass
        with self._changing:
            self.is_running = False
            unfinished, self._tasks = self._tasks, {}
        for future in unfinished.values():
            if self._is_closing:
                future.cancel()
            elif future.set_running_or_notify_cancel():
                future.set_exception(_broken())
        with self._sending:
            self._connection.close()
        self._reap()

    def _settle(self, answer: Returned | TimedOut | Died) -> None:
        with self._changing:
            future = self._tasks.pop(answer.number, None)
        if future is None or not future.set_running_or_notify_cancel():
            return
        if isinstance(answer, TimedOut):
            future.set_exception(TimeoutError())
        elif isinstance(answer, Died):
            message = f"worker process died (exit code {answer.exit_code})"
            future.set_exception(WorkerLost(message))
        else:
            try:
                succeeded, result = pickle.loads(answer.payload)  # noqa: S301 - from our worker
            except Exception as error:
                succeeded, result = False, error
            if succeeded:
                future.set_result(result)
            else:
                future.set_exception(result)

    def _reap(self) -> None:
        """Waits for the end of the program, and kills it if that takes too long."""
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _broken() -> WorkerLost:
    return WorkerLost("the worker pool broke down")


def python_path() -> dict[str, str]:
    """Environment variables that let a new interpreter import the same packages as this one.

    The current folder is left out, unless the caller's own path names it: `python -c` would
    otherwise import whatever lies there.
    """
    package = str(Path(__file__).absolute().parents[2])
    path = [*filter(None, sys.path), package]
    return {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(dict.fromkeys(path))}
