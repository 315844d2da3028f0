"""An executor whose worker processes are on the nodes of a cluster."""

from __future__ import annotations

import contextlib
import logging
import pickle
import secrets
import shutil
import socket
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from distributed import Client
from distributed import Future as DaskFuture
from distributed.deploy.spec import SpecCluster

from saco_data.executors import NodeLost
from saco_data.executors.cluster import placement
from saco_data.executors.cluster.node_note import NoteWriter, Work
from saco_data.executors.cluster.placement import Growth
from saco_data.executors.cluster.start import Started
from saco_data.executors.cluster.task import Task, number_of
from saco_data.executors.cluster.worker import Answer, Expected, NodePool, run_task
from saco_data.media import fixture
from saco_data.model.errors import Incomplete

R = TypeVar("R")
_log = logging.getLogger(__name__)
# Larger calls go by the shared disk: no picture passes the scheduler.
MOST_BYTES = 32 << 10
# How often a task is sent, when Dask has given it up or its node was refused.
MOST_SENDS = 4
# How often a cluster is started.
STARTS = 3
# So many refused nodes, none of them accepted: the cluster does not fit this installation.
MOST_REFUSED = 3
# How often it is looked for nodes that can take an archive.
LOOK_SECONDS = 1.0
STOP_SECONDS = 10.0
Start = Callable[[Path], Started]


class ClusterExecutor:
    """Runs calls on the nodes of a cluster; see `Executor`.

    `start` makes the cluster with the first task. `folder` is on a disk that all nodes share: it is
    emptied at the start, and keeps the logs of the nodes.
    """

    def __init__(self, start: Start, folder: Path, width: int) -> None:
        self.width = width
        self._start_cluster = start
        self._folder = folder
        self._run = secrets.token_hex(4)
        self._pool = f"saco-{self._run}"
        self._client: Client | None = None
        self._cluster: SpecCluster | None = None
        self._tasks: dict[int, Task] = {}
        self._count = 0
        self._is_closed = False
        self._problem = ""
        self._note: NoteWriter | None = None
        self._growth = Growth(None)
        self._placing: threading.Thread | None = None
        self._look = threading.Event()
        self._hosts: dict[str, str] = {}
        self._refused: set[str] = set()
        self._accepted: set[str] = set()
        self._starting = threading.Lock()
        self._changed = threading.Condition()

    def start(self) -> None:
        """See `Executor.start`. Nodes may cost money or a queue's time: the first task asks."""

    def submit(self, function: Callable[..., R], *arguments: Any, seconds: float) -> Future[R]:
        """See `Executor.submit`."""
        # What a task is for says more than its function, where it tells.
        subset = getattr(arguments[0], "subset", None) if arguments else None
        name = f"files of {subset}" if isinstance(subset, str) else function.__name__
        return self._submit(function, arguments, seconds, name)

    def submit_whole(self, function: Callable[..., R], *arguments: Any, label: str) -> Future[R]:
        """See `Nodes.submit_whole`."""
        return self._submit(function, arguments, None, label)

    def _submit(
        self,
        function: Callable[..., R],
        arguments: tuple[Any, ...],
        seconds: float | None,
        name: str,
    ) -> Future[R]:
        future: Future[R] = Future()
        payload = pickle.dumps((function, arguments))
        with self._starting:
            if self._is_closed:
                future.cancel()
                return future
            if self._client is None:
                self._start()
        self._require_cluster()
        with self._changed:
            self._count += 1
            task = Task(self._count, name, payload, seconds, future)
            self._tasks[task.number] = task
        if len(payload) > MOST_BYTES:
            task.content = self._folder / "tasks" / str(task.number)
            task.content.write_bytes(payload)
        if task.is_whole:
            self._look.set()
        else:
            self._send(task)
        return future

    def close(self, *, now: bool = False) -> None:
        """See `Executor.close`."""
        with self._starting:
            self._is_closed = True
        with self._changed:
            if not now:
                self._changed.wait_for(lambda: not self._tasks)
            unfinished, self._tasks = list(self._tasks.values()), {}
            client, self._client = self._client, None
            self._changed.notify_all()
        if self._placing:
            self._look.set()
            self._placing.join(STOP_SECONDS)
        for task in unfinished:
            task.future.cancel()
        if client is not None:
            if self._note:
                self._note.close()
            self._stop(client)

    def _start(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700, parents=True)
        (self._folder / "logs").mkdir()
        token_file = self._folder / "token"
        token_file.write_text(self._run)
        drawn = fixture.draw()
        expected = Expected(
            token_file, self._run, drawn, fixture.fingerprint(drawn), fixture.versions()
        )
        self._client = self._start_nodes(NodePool(self._run, expected))
        self._note = NoteWriter(self._folder, self._find_work)
        self._placing = threading.Thread(target=self._keep_placing, name="placing", daemon=True)
        self._placing.start()

    def _start_nodes(self, pool: NodePool) -> Client:
        """A client of the started cluster. Raises Incomplete where nodes are lost again and again.

        Dask gives a cluster up that loses a node just when it is told what nodes are to run.
        """
        lost: BaseException | None = None
        for _ in range(STARTS):
            (self._folder / "tasks").mkdir()
            self._cluster, client, adaptive = self._start_cluster(self._folder)
            self._growth = Growth(adaptive)
            try:
                client.register_plugin(pool)
                return client
            except Exception as error:
                self._stop(client)
                lost = error
            except BaseException:
                self._stop(client)
                raise
        raise Incomplete("the cluster lost its nodes as it started", remedy="Run again") from lost

    def _find_work(self) -> Work:
        """How many tasks of each kind each node has, by the name of its machine."""
        client = self._client
        if client is None:
            return {}
        addresses = set(client.scheduler_info(n_workers=-1)["workers"])
        if new := addresses - self._hosts.keys():
            self._hosts |= client.run(socket.gethostname, workers=[*new], on_error="ignore")
        work: dict[str, Counter[str]] = {}
        for address, keys in client.processing().items():
            here = work.setdefault(self._hosts.get(address, address), Counter())
            for key in keys:
                number = number_of(key, self._run)
                with self._changed:
                    task = self._tasks.get(number) if number else None
                here.update([task.name] if task else [])
        return work

    def _keep_placing(self) -> None:
        """Gives whole archives to nodes until the end, also as nodes come. Runs in a thread."""
        has_asked = False
        while (client := self._client) is not None:
            with self._changed:
                whole = [task for task in self._tasks.values() if task.is_whole]
            if whole or has_asked:
                has_asked = bool(whole)
                try:
                    self._place(client, whole)
                except Exception as error:
                    # A scheduler that does not answer now may answer at the next look.
                    _log.info("no archive is given to a node now (%s)", type(error).__name__)
            self._look.wait(LOOK_SECONDS)
            self._look.clear()

    def _place(self, client: Client, whole: Sequence[Task]) -> None:
        nodes = self._growth.ask_for(len(whole))
        self._look_for_scheduler()
        if self._problem:
            for task in whole:
                if task.running is None:
                    self._fail(task, NodeLost(self._problem))
            return
        threads = {
            address: count
            for address, count in client.nthreads().items()
            if address not in self._refused
        }
        places = {
            number: address
            for address, keys in client.processing().items()
            for key in keys
            if (number := number_of(key, self._run)) is not None
        }
        loads, lost = placement.find_loads(whole, threads, places)
        for task in lost:
            # Dask would keep it for its node. It is sent anew when it has ended.
            if task.running:
                task.running.cancel()
        for task in placement.place(whole, threads, loads, nodes):
            self._send(task)

    def _stop(self, client: Client) -> None:
        # Whatever is gone already needs no end.
        if client.status == "running":
            with contextlib.suppress(Exception):
                client.unregister_worker_plugin(self._pool)
        for each in (client, self._cluster):
            if each is not None:
                with contextlib.suppress(Exception):
                    each.close()
        for name in ("tls", "tasks", "scratch"):
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def _require_cluster(self) -> None:
        """Raises Incomplete where no node can be used any more."""
        self._look_for_scheduler()
        if self._problem:
            raise Incomplete(self._problem, remedy="Correct the cluster and run again")

    def _look_for_scheduler(self) -> None:
        client = self._client
        # Dask would try to reach it again, and keep what is sent meanwhile without a word.
        if client is not None and client.status != "running":
            self._problem = "the scheduler of the cluster has ended"

    def _send(self, task: Task) -> None:
        client = self._client
        task.sends += 1
        if client is None:
            self._end(task, lambda: task.future.cancel())
            return
        try:
            task.running = client.submit(
                run_task,
                self._pool,
                task.content,
                task.seconds,
                key=task.key(self._run),
                pure=False,
                workers=[task.address] if task.address else None,
                allow_other_workers=bool(task.address),
            )
        except Exception as error:
            self._fail(task, NodeLost(f"the cluster took no task ({type(error).__name__})"))
            return
        task.running.add_done_callback(partial(self._settle, task))

    def _settle(self, task: Task, running: DaskFuture[Any]) -> None:
        """Takes an answer, or sends the task again. Runs in Dask's one thread for this."""
        try:
            answer = running.result()
            assert isinstance(answer, Answer)
        except BaseException as error:
            # KilledWorker: it was given to several nodes, and all were lost.
            self._again(task, f"the node that ran it was lost ({type(error).__name__})")
            return
        finally:
            running.release()
        if answer.refusal:
            self._refuse(answer)
            self._again(task, f"node {answer.node} {answer.refusal}")
            return
        self._accepted.add(answer.address)
        try:
            result = pickle.loads(answer.payload)  # noqa: S301 - from our own node
        except Exception as error:
            self._fail(task, error)
            return
        if answer.succeeded:
            self._end(task, lambda: task.future.set_result(result))
        elif isinstance(result, NodeLost):
            self._again(task, str(result))
        else:
            self._fail(task, result)

    def _again(self, task: Task, why: str) -> None:
        self._look_for_scheduler()
        if self._problem or task.sends >= MOST_SENDS or self._client is None:
            self._fail(task, NodeLost(why))
        elif task.is_whole:
            task.running, task.is_missed = None, False
            self._look.set()
        else:
            self._send(task)

    def _fail(self, task: Task, error: BaseException) -> None:
        self._end(task, lambda: task.future.set_exception(error))

    def _end(self, task: Task, settle: Callable[[], object]) -> None:
        """Settles a task once; after `close` it was cancelled already."""
        with self._changed:
            is_open = task.number in self._tasks
        if isinstance(task.content, Path):
            with contextlib.suppress(OSError):
                task.content.unlink()
        if not is_open:
            return
        if task.future.set_running_or_notify_cancel():
            settle()
        with self._changed:
            self._tasks.pop(task.number, None)
            self._changed.notify_all()
        if task.is_whole:
            self._look.set()

    def _refuse(self, answer: Answer) -> None:
        """Ends a node that makes other bytes than this machine, and says why."""
        client = self._client
        if client is None:
            return
        if answer.address not in self._refused:
            self._refused.add(answer.address)
            _log.warning("node %s is not used: it %s", answer.node, answer.refusal)
        with contextlib.suppress(Exception):
            # Dask keeps a node as long as no other can take what it holds: it is asked each time.
            client.retire_workers([answer.address], close_workers=True)
            known = set(client.scheduler_info(n_workers=-1)["workers"])
            is_last = self._cluster is None and known <= self._refused
            if not self._accepted and (is_last or len(self._refused) >= MOST_REFUSED):
                self._problem = f"no node can be used: node {answer.node} {answer.refusal}"
