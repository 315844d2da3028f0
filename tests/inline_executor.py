"""An executor without processes: what it is given runs at once, in the thread that gives it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

R = TypeVar("R")


class Inline:
    """See `saco_data.executors.Executor`."""

    width = 1

    def submit(self, function: Callable[..., R], *arguments: Any, seconds: float) -> Future[R]:
        """See `Executor.submit`."""
        future: Future[R] = Future()
        try:
            future.set_result(function(*arguments))
        except Exception as error:
            future.set_exception(error)
        return future

    def close(self, *, now: bool = False) -> None:
        """Nothing is left to wait for."""
