"""A Dask cluster behind the executor: bounded tasks, lost and refused nodes, encryption."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Security

from saco_data.executors import NodeLost, WorkerLost
from saco_data.executors.cluster.choice import make_cluster
from saco_data.executors.cluster.executor import ClusterExecutor
from saco_data.model.errors import Incomplete
from tests.helpers.cluster import nannies, own_cluster, worker_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state") / "cluster"


@pytest.fixture(scope="module")
def executor(folder: Path) -> Iterator[ClusterExecutor]:
    made = make_cluster("dask", 2, folder)
    yield made
    made.close(now=True)


def address_of(executor: ClusterExecutor) -> str:
    assert executor._client
    return str(executor._client.scheduler_info()["address"])


def test_results_come_back(executor: ClusterExecutor, folder: Path) -> None:
    futures = [executor.submit(pow, 2, n, seconds=60) for n in range(20)]
    assert [future.result() for future in futures] == [2**n for n in range(20)]
    # A picture in the memory of the coordinator goes by the disk, and is removed there.
    assert executor.submit(len, b"x" * 5_000_000, seconds=60).result() == 5_000_000
    assert not list((folder / "tasks").iterdir())


def test_time_and_memory_of_a_task_are_bounded(executor: ClusterExecutor) -> None:
    slow = executor.submit(time.sleep, 600, seconds=0.5)
    with pytest.raises(TimeoutError):
        slow.result()
    with pytest.raises((MemoryError, WorkerLost)):
        executor.submit(bytearray, 5 << 30, seconds=60).result()
    with pytest.raises(WorkerLost, match="exit code 7") as caught:
        executor.submit(os._exit, 7, seconds=60).result()
    # A decoder that crashes is the item's fault, unlike a lost node.
    assert not isinstance(caught.value, NodeLost)
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 1, 0, seconds=60).result()
    assert executor.submit(pow, 2, 3, seconds=60).result() == 8


def test_only_who_has_the_key_of_the_run_can_connect(
    executor: ClusterExecutor, folder: Path
) -> None:
    executor.submit(os.getpid, seconds=60).result()
    assert folder.stat().st_mode & 0o077 == 0
    assert {path.stat().st_mode & 0o777 for path in (folder / "tls").iterdir()} == {0o600}
    address = address_of(executor)
    assert address.startswith("tls://127.0.0.1:")
    for other in (address.replace("tls:", "tcp:"), address):
        security = Security.temporary() if other == address else None
        with pytest.raises(OSError):
            Client(other, security=security, timeout=3)
    # TLS without any certificate: the scheduler ends the connection.
    host, port = address.removeprefix("tls://").split(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, int(port)), timeout=60) as plain,
        pytest.raises(OSError),
        context.wrap_socket(plain) as wrapped,
    ):
        wrapped.sendall(b"x")
        assert wrapped.recv(1) == b""
        raise ConnectionError


def test_there_is_no_dashboard(executor: ClusterExecutor) -> None:
    executor.submit(os.getpid, seconds=60).result()
    (nanny,) = nannies()
    import psutil

    listening = [
        each.laddr.port
        for process in (psutil.Process(), nanny, worker_of(nanny))
        for each in process.net_connections("tcp")
        if each.status == psutil.CONN_LISTEN
    ]
    assert listening
    for port in listening:
        for page in ("/status", "/info/main/workers.html", "/json/counts.json", "/metrics"):
            with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                connection.sendall(f"GET {page} HTTP/1.0\r\n\r\n".encode())
                try:
                    answer = connection.recv(100)
                except OSError:
                    continue
                assert b" 200 " not in answer, (port, page)


def test_nodes_are_not_profiled(executor: ClusterExecutor) -> None:
    """Dask's profiler can lock all threads of a process of Python 3.11 for ever."""

    def find_periodic(dask_worker: Any) -> set[str]:
        return set(dask_worker.periodic_callbacks)

    executor.submit(os.getpid, seconds=30).result(60)
    client = executor._client
    assert client is not None
    (found,) = client.run(find_periodic).values()
    assert found and not [name for name in found if "profile" in name]


@pytest.mark.parametrize("which", ["worker", "nanny"])
def test_tasks_of_a_killed_node_run_again(executor: ClusterExecutor, which: str) -> None:
    executor.submit(os.getpid, seconds=60).result()
    tasks = [executor.submit(time.sleep, 2, seconds=60) for _ in range(4)]
    time.sleep(0.5)
    (nanny,) = nannies()
    victim = worker_of(nanny) if which == "worker" else nanny
    victim.send_signal(signal.SIGKILL)
    assert [task.result() for task in tasks] == [None] * 4


def test_closing_waits_for_results_and_stopping_does_not(tmp_path: Path) -> None:
    executor = make_cluster("dask", 1, tmp_path / "cluster")
    last = executor.submit(time.sleep, 0.5, seconds=60)
    last.result()
    endless = executor.submit(time.sleep, 600, seconds=900)
    waiting = threading.Thread(target=executor.close)
    waiting.start()
    executor.close(now=True)
    waiting.join(120)
    assert not waiting.is_alive() and endless.cancelled()
    assert executor.submit(pow, 2, 3, seconds=60).cancelled()
    left = {path.name for path in (tmp_path / "cluster").iterdir()}
    assert left == {"logs", "token"}


OTHER_PILLOW = """
from PIL import Image
usual = Image.Image.resize
def resize(self, size, resample=None, *arguments, **options):
    return usual(self, size, Image.Resampling.NEAREST)
Image.Image.resize = resize
"""


def test_a_node_that_makes_other_bytes_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    changed = tmp_path / "changed"
    changed.mkdir()
    (changed / "sitecustomize.py").write_text(OTHER_PILLOW)
    other = {"PYTHONPATH": os.pathsep.join([str(changed), *filter(None, sys.path)])}
    with own_cluster(tmp_path / "dask", other, {}) as address:
        executor = make_cluster(address, 1, tmp_path / "cluster")
        futures = [executor.submit(time.sleep, 0.1, seconds=60) for _ in range(12)]
        assert [future.result() for future in futures] == [None] * 12
        executor.close()
    (warning,) = [record.getMessage() for record in caplog.records if "is not used" in record.msg]
    assert "makes other bytes (" in warning and "a resized picture" in warning
    assert "decoded frames" not in warning


def test_a_cluster_of_refused_nodes_ends_the_run(tmp_path: Path) -> None:
    changed = tmp_path / "changed"
    changed.mkdir()
    (changed / "sitecustomize.py").write_text(OTHER_PILLOW)
    other = {"PYTHONPATH": os.pathsep.join([str(changed), *filter(None, sys.path)])}
    with own_cluster(tmp_path / "dask", other) as address:
        executor = make_cluster(address, 1, tmp_path / "cluster")
        with pytest.raises(NodeLost, match="makes other bytes"):
            executor.submit(pow, 2, 3, seconds=60).result()
        with pytest.raises(Incomplete, match="no node can be used"):
            executor.submit(pow, 2, 3, seconds=60)
        executor.close()


def test_a_scheduler_that_ends_loses_tasks_but_charges_none(tmp_path: Path) -> None:
    with own_cluster(tmp_path / "dask", {}) as address:
        executor = make_cluster(address, 1, tmp_path / "cluster")
        executor.submit(pow, 2, 3, seconds=60).result()
        lost = executor.submit(time.sleep, 600, seconds=900)
    with pytest.raises(NodeLost):
        lost.result(timeout=60)
    with pytest.raises(Incomplete, match="the scheduler of the cluster has ended"):
        executor.submit(pow, 2, 3, seconds=60)
    executor.close(now=True)


def test_a_scheduler_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saco_data.executors.cluster.start.START_SECONDS", 1)
    executor = make_cluster("tcp://127.0.0.1:9", 1, tmp_path / "cluster")
    with pytest.raises(Incomplete, match="no scheduler answers"):
        executor.submit(pow, 2, 3, seconds=60)


def test_one_machine_imports_nothing_of_dask() -> None:
    script = (
        "import sys; from saco_data.cli import main; from saco_data.engine import session, sync\n"
        "from saco_data import executors; from saco_data.config.settings import parse\n"
        "executor = executors.make(parse(''))\n"
        "assert executor.submit(pow, 2, 3, seconds=60).result() == 8\n"
        "executor.close()\n"
        "print([name for name in sys.modules if name.split('.')[0] in "
        "('dask', 'distributed', 'dask_jobqueue', 'cryptography', 'tornado')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_without_the_extra_the_message_says_how_to_get_it() -> None:
    script = (
        "import sys; sys.modules['distributed'] = None\n"
        "from saco_data import executors; from saco_data.config.settings import parse\n"
        "executors.make(parse('executor: dask'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False
    )
    last = done.stderr.splitlines()[-1]
    assert "UsageError: executor: the extra `dask` is not installed" in last
    assert "[dask]" in last and "pip" in last
