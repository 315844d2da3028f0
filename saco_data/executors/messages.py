"""What a `LocalExecutor` and its pool host say to each other, as plain records."""

from __future__ import annotations

from dataclasses import dataclass

NO_SHARED_MEMORY = "no room in shared memory"  # a `problem` of `Started`


@dataclass(frozen=True)
class Task:
    """A request: run a pickled (function, arguments) for at most `seconds`."""

    number: int
    payload: bytes
    seconds: float


@dataclass(frozen=True)
class Close:
    """A request: finish what was started, or (`now`) stop it, and end."""

    now: bool


@dataclass(frozen=True)
class Started:
    """An answer: the first worker is ready, or `problem` says why none can start."""

    problem: str = ""


@dataclass(frozen=True)
class Returned:
    """An answer: the task ended by itself. `payload`: a pickled (succeeded, result or error)."""

    number: int
    payload: bytes


@dataclass(frozen=True)
class TimedOut:
    """An answer: the task was stopped because its time was over."""

    number: int


@dataclass(frozen=True)
class Died:
    """An answer: the worker process that ran the task ended without a result."""

    number: int
    exit_code: int | None
