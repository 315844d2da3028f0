"""A call under way on a cluster."""

from __future__ import annotations

import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Future as DaskFuture


@dataclass
class Task:
    """A call under way: `content` is the pickled call or its file.

    Of a whole archive, `address` is the node that was chosen for it, and `is_missed` whether no
    node had it at the last look.
    """

    number: int
    name: str
    content: bytes | Path
    # How long a worker process may take; None: a whole archive, which uses the pool of its node.
    seconds: float | None
    future: Future[Any]
    address: str = ""
    is_missed: bool = False
    sends: int = 0
    running: DaskFuture[Any] | None = None
    since: float = field(default_factory=time.monotonic)

    @property
    def is_whole(self) -> bool:
        return self.seconds is None

    def key(self, run: str) -> str:
        """The key at Dask of the present attempt; `run`: of the coordinator."""
        return f"{self.name}-{run}-{self.number}-{self.sends}"


def number_of(key: object, run: str) -> int | None:
    """The number of a task from its key at Dask; None for a task of others."""
    parts = str(key).rsplit("-", 3)
    return int(parts[2]) if len(parts) == 4 and parts[1] == run else None
