"""What runs on a node: a pool of worker processes as on one machine, inside a Dask worker.

Dask bounds neither the time nor the memory of a task, so the pool does. Answers are pickled here
and opened by the coordinator: Dask never sees an error of a task, and so cannot log it.
"""

from __future__ import annotations

import pickle
import socket
import threading
from concurrent.futures import CancelledError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Worker, WorkerPlugin, get_worker

from saco_data.executors import NodeLost
from saco_data.executors.local import MEMORY_BYTES, LocalExecutor
from saco_data.media import fixture
from saco_data.media.fixture import Fixture

CHECK_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Expected:
    """What each node must be like: `token` is in the file `token_file` on the shared disk.

    `fingerprint` and `versions`: those of the coordinator; see `media.fixture`.
    """

    token_file: Path
    token: str
    fixture: Fixture
    fingerprint: dict[str, str]
    versions: dict[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of a node. `payload`: a pickled result, or the pickled error of a task.

    `refusal`: why the node must not be used; "" if it may. `address`: its Dask worker.
    """

    node: str
    address: str
    succeeded: bool = True
    payload: bytes = b""
    refusal: str = ""


class NodePool(WorkerPlugin):
    """The worker processes of a node: as many as its Dask worker has threads."""

    def __init__(self, run: str, expected: Expected) -> None:
        self.name = f"saco-{run}"
        self._expected = expected

    def setup(self, worker: Worker) -> None:
        """Makes the pool; its processes start with the first task."""
        self._pool = LocalExecutor(worker.state.nthreads, MEMORY_BYTES)
        self._checking = threading.Lock()
        self._refusal: str | None = None
        self._address = worker.address
        self._stop = threading.Event()

    def teardown(self, worker: Worker) -> None:
        """Stops what runs."""
        self._stop.set()
        self._pool.close(now=True)

    def run(self, task: bytes | Path, seconds: float | None) -> Answer:
        """The answer to a task, after a check of this node before its first.

        `seconds`: how long a worker process may take; None: the call uses the pool by itself.
        """
        node = socket.gethostname()
        try:
            with self._checking:
                if self._refusal is None:
                    self._refusal = self._find_difference()
            if self._refusal:
                return Answer(node, self._address, refusal=self._refusal)
            if seconds is None:
                result = call(task, self._pool, self._stop)
            else:
                result = self._pool.submit(call, task, seconds=seconds).result()
            if self._stop.is_set():
                raise NodeLost("its node was stopped")
            return Answer(node, self._address, payload=pickle.dumps(result))
        except CancelledError:
            lost = NodeLost("its node was stopped")
            return Answer(node, self._address, False, pickle.dumps(lost))
        except Exception as error:
            return Answer(node, self._address, False, _pack(error))

    def _find_difference(self) -> str:
        """How this node differs from the coordinator in what it makes; "" if it does not."""
        expected = self._expected
        try:
            token = expected.token_file.read_text()
        except OSError as error:
            return f"does not see {expected.token_file.parent} ({error.strerror})"
        if token != expected.token:
            return f"has another folder {expected.token_file.parent}: it must be on a shared disk"
        versions = self._pool.submit(fixture.versions, seconds=CHECK_SECONDS).result()
        others = [
            f"{name} {versions.get(name, 'none')} instead of {value}"
            for name, value in expected.versions.items()
            if versions.get(name) != value
        ]
        if versions["saco-data"] != expected.versions["saco-data"]:
            return f"runs {', '.join(others)}"
        made = self._pool.submit(
            fixture.fingerprint, expected.fixture, seconds=CHECK_SECONDS
        ).result()
        steps = [name for name, digest in expected.fingerprint.items() if made[name] != digest]
        if not steps:
            return ""
        return f"makes other bytes ({', '.join(steps)}; {', '.join(others) or 'equal versions'})"


def _pack(error: Exception) -> bytes:
    """A pickled error; its kind and no more, where it cannot be pickled."""
    try:
        content = pickle.dumps(error)
        pickle.loads(content)  # noqa: S301 - our own
    except Exception:
        return pickle.dumps(RuntimeError(f"{type(error).__name__} on a node"))
    return content


def run_task(pool: str, task: bytes | Path, seconds: float | None) -> Answer:
    """The function of every Dask task: has the pool of this node run a pickled call."""
    plugin: Any = get_worker().plugins[pool]
    assert isinstance(plugin, NodePool)
    return plugin.run(task, seconds)


def call(task: bytes | Path, *before: Any) -> Any:
    """Runs a pickled (function, arguments), which may lie in a file; `before`: first arguments."""
    content = task.read_bytes() if isinstance(task, Path) else task
    function, arguments = pickle.loads(content)  # noqa: S301 - from the coordinator
    return function(*before, *arguments)
