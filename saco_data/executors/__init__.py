"""Where work runs: an executor takes functions with plain arguments and returns futures."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from saco_data.model.errors import UsageError
from saco_data.model.reasons import Reason

if TYPE_CHECKING:
    # Not at run time: the worker pool imports this package and needs no config.
    from saco_data.config.settings import Settings

R = TypeVar("R")


class Executor(Protocol):
    """Runs functions in other processes, at most `width` at the same time."""

    width: int

    def start(self) -> None:
        """Gets workers ready, without waiting for them: tasks will come. Never raises."""
        ...

    def submit(self, function: Callable[..., R], *arguments: Any, seconds: float) -> Future[R]:
        """Starts `function(*arguments)` and stops it after `seconds`; returns its result later.

        Function, arguments and result must be picklable, and the function importable by name from
        a package (not from the main script). The future raises TimeoutError when the time was over,
        WorkerLost when the process died, otherwise what the function raised. After `close` the
        future is cancelled. Raises SacoError when no worker can start.
        """
        ...

    def close(self, *, now: bool = False) -> None:
        """Waits until the started tasks are done; `now` stops and cancels them instead."""
        ...


@runtime_checkable
class Nodes(Protocol):
    """An executor of several machines, which can be given more than a single call."""

    width: int

    def submit_whole(self, function: Callable[..., R], *arguments: Any, label: str) -> Future[R]:
        """Starts `function(executor, stop, *arguments)` on one node; returns its result later.

        `executor`: the worker processes of that node. `stop`: an event that is set when the node
        is to end. The call itself has no limit of time or memory. The future raises `NodeLost` or
        what the function raised. `label` says in `saco status` what it is.
        """
        ...


class WorkerLost(Exception):
    """The process of a task died: a decoder crashed, or memory ran out."""


class NodeLost(WorkerLost):
    """A task that no node could finish: its nodes were lost or refused. Not the item's fault."""


# The errors of a task that its worker could not finish.
LOST = (WorkerLost, MemoryError, TimeoutError)


def why_lost(error: BaseException) -> tuple[Reason, str]:
    """The reason and the detail to record for a task that ended with one of `LOST`."""
    if isinstance(error, TimeoutError):
        return Reason.WORKER_TIMEOUT, "took too long to decode"
    return Reason.WORKER_CRASHED, f"{error or 'out of memory'}"


def make(settings: Settings) -> Executor:
    """The executor that the config names. Raises UsageError where its extra is not installed."""
    from saco_data.executors.local import LocalExecutor

    where = settings.keys.executor
    if where == "local":
        return LocalExecutor(settings.keys.jobs)
    try:
        from saco_data.executors.cluster.choice import make_cluster
    except ModuleNotFoundError as error:
        from saco_data.config.installation import how_to_install

        raise UsageError(
            f"the extra `dask` is not installed ({error.name} is missing)",
            item="executor",
            remedy=f"Run {how_to_install('dask')}, or write `executor: local`",
        ) from error
    return make_cluster(where, settings.keys.jobs, settings.state / "cluster")


@contextlib.contextmanager
def running(settings: Settings, executor: Executor | None = None) -> Iterator[Executor]:
    """An executor for a block, by default that of the config; closed after the block.

    Where the block fails, what runs is stopped.
    """
    found = executor or make(settings)
    try:
        yield found
    except BaseException:
        found.close(now=True)
        raise
    found.close()
