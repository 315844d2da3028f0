"""An executor without processes: each call runs at once, in the thread that submits it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

R = TypeVar("R")


class InlineExecutor:
    """Runs each function inside `submit`. See `saco_data.executors.Executor`."""

    width = 1

    def start(self) -> None:
        """See `Executor.start`."""

    def submit(self, function: Callable[..., R], *arguments: Any, seconds: float) -> Future[R]:
        """See `Executor.submit`."""
        future: Future[R] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self, *, now: bool = False) -> None:
        """See `Executor.close`."""
