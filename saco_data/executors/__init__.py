"""Where work runs. An executor takes plain functions with plain arguments and returns futures."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from saco_data.config.settings import Settings
from saco_data.model.reasons import Reason

R = TypeVar("R")


class Executor(Protocol):
    """Runs functions elsewhere. `width` is how many run at the same time."""

    width: int

    def submit(self, function: Callable[..., R], *arguments: Any, seconds: float) -> Future[R]:
        """Starts `function(*arguments)`; it is stopped after `seconds`.

        The future raises TimeoutError when time ran out and WorkerLost when its process died.
        """
        ...

    def close(self, *, now: bool = False) -> None:
        """Waits for what was started; `now` stops it instead."""
        ...


class WorkerLost(Exception):
    """The process that ran a task died: a crash in a decoder, or out of memory."""


# How a task ends that was too much for its worker.
LOST = (WorkerLost, MemoryError, TimeoutError)


def why_lost(error: BaseException) -> tuple[Reason, str]:
    """The reason and the words for a task that ended in one of `LOST`."""
    if isinstance(error, TimeoutError):
        return Reason.WORKER_TIMEOUT, "took too long to decode"
    return Reason.WORKER_CRASHED, f"{error or 'out of memory'}"


def make(settings: Settings) -> Executor:
    """The executor that the config names."""
    from saco_data.executors.local import LocalExecutor

    return LocalExecutor(settings.keys.jobs)
