"""Starts nodes: on this machine, by SLURM, or not at all where a scheduler is there already."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import dask
from distributed import Client, Scheduler, Security
from distributed.deploy.adaptive import Adaptive
from distributed.deploy.spec import ProcessInterface, SpecCluster

from saco_data.config.keys import SlurmKeys
from saco_data.executors.cluster import tls
from saco_data.executors.local import python_path
from saco_data.model.errors import Incomplete, UsageError

START_SECONDS = 120
DEATH_SECONDS = 60  # a node without its coordinator ends after so long
STOP_SECONDS = 10.0
LOOK_SECONDS = 1.0
JOB_NAME = "saco-data"
# Neither a dashboard nor the scheduler's pages: they would show the work to every user.
_CLOSED = {
    "distributed.scheduler.http.routes": [],
    # A lost node is no fault of its tasks: they run again, so many times in all.
    "distributed.scheduler.allowed-failures": 3,
}
_SCHEDULER: dict[str, Any] = {"protocol": "tls", "dashboard": False, "dashboard_address": ":0"}
# In the environment of a node: the same for its own pages. And no profiler: it asks Python 3.11 for
# the frames of all threads, which can lock them all for ever.
NODE = {
    "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
}
# The node's own disk, for what Dask may put aside.
_SCRATCH = '"${SACO_SCRATCH:-${SLURM_TMPDIR:-${TMPDIR:-/tmp}}}"'


class Started(NamedTuple):
    """A started cluster and its client. `adaptive`: what asks for its nodes; None: nobody does."""

    cluster: SpecCluster | None
    client: Client
    adaptive: Adaptive | None


class LocalNode(ProcessInterface):
    """A Dask worker with its nanny, started as a program of its own on this machine.

    Dask's own `LocalCluster` would run the user's main script in each process again.
    """

    def __init__(
        self, scheduler: str, name: str, *, width: int, folder: Path, security: Security
    ) -> None:
        super().__init__(scheduler=scheduler, name=name)  # type: ignore[no-untyped-call]
        files = security.get_tls_config_for_role("worker")
        self._log = folder / "logs" / f"node-{name}.log"
        self._command = [
            *(sys.executable, "-m", "distributed.cli.dask_worker", scheduler, "--no-dashboard"),
            *("--name", str(name), "--nthreads", str(width), "--memory-limit", "0"),
            *("--death-timeout", str(DEATH_SECONDS), "--host", "127.0.0.1"),
            *("--local-directory", str(folder / "scratch"), "--protocol", "tls"),
            *("--tls-ca-file", files["ca_file"], "--tls-cert", files["cert"]),
            *("--tls-key", files["key"]),
        ]

    async def start(self) -> None:
        """Starts the program; it connects to the scheduler by itself."""
        self._launch()
        self._watching = asyncio.create_task(self._keep_running())
        await super().start()  # type: ignore[no-untyped-call]

    def _launch(self) -> None:
        with self._log.open("ab") as log:
            # In a session of its own: Ctrl-C in the terminal is for the coordinator only.
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **python_path(), **NODE},
                start_new_session=True,
            )

    async def _keep_running(self) -> None:
        """Starts the program again when it has ended: Dask may wait for a lost one for ever."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if self._process.poll() is not None:
                self._kill()
                self._launch()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Ends the program and the worker below it."""
        self._watching.cancel()
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            await asyncio.to_thread(self._process.wait, STOP_SECONDS)
        self._kill()
        self._process.wait()
        await super().close()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def _configured() -> Iterator[None]:
    with dask.config.set(_CLOSED):
        yield


def start_local(width: int, folder: Path) -> Started:
    """A cluster of one node, this machine, with `width` worker processes."""
    security = tls.make_certificate(folder / "tls")
    node = {
        "cls": LocalNode,
        "options": {"width": width, "folder": folder, "security": security},
    }
    with _configured():
        cluster = SpecCluster(
            scheduler={
                "cls": Scheduler,
                "options": {**_SCHEDULER, "host": "127.0.0.1", "security": security},
            },
            worker=node,
            security=security,
            silence_logs=logging.CRITICAL,
        )
    # Together with the node itself, which starts its program again.
    adaptive = cluster.adapt(minimum=1, maximum=1)
    return Started(cluster, _wait_for_node(Client(cluster), folder), adaptive)


def start_slurm(keys: SlurmKeys, folder: Path) -> Started:
    """A cluster of SLURM jobs of one node each, as many as the work needs; they may come later."""
    security = tls.make_certificate(folder / "tls")
    variables = {**python_path(), **NODE}
    with _configured():
        cluster = import_slurm_cluster()(
            cores=keys.cores,
            memory=keys.memory,
            processes=1,
            walltime=keys.walltime,
            queue=keys.partition,
            account=keys.account,
            interface=keys.interface,
            # The environment of the coordinator, which may hold keys, stays where it is.
            job_extra_directives=["--export=HOME,PATH,LD_LIBRARY_PATH", *keys.directives],
            job_script_prologue=[
                *(f"export {name}={shlex.quote(value)}" for name, value in variables.items()),
                *keys.prologue,
            ],
            job_name=JOB_NAME,
            log_directory=str(folder / "logs"),
            local_directory=_SCRATCH,
            python=shlex.quote(sys.executable),
            death_timeout=DEATH_SECONDS,
            worker_extra_args=["--no-dashboard"],
            protocol="tls://",
            security=security,
            scheduler_options=dict(_SCHEDULER),
            shared_temp_directory=str(folder / "tls"),
            silence_logs=logging.CRITICAL,
        )
    try:
        _try_job(cluster.job_script())
    except BaseException:
        cluster.close()
        raise
    adaptive = cluster.adapt(
        minimum_jobs=min(keys.minimum_nodes, keys.nodes),
        maximum_jobs=keys.nodes,
        interval="2s",
        wait_count=15,
        target_duration="60s",
    )
    return Started(cluster, Client(cluster), adaptive)


def import_slurm_cluster() -> Any:
    """The class of dask-jobqueue, whose import would put signal handlers in the place of ours."""
    usual = signal.signal
    signal.signal = lambda number, handler: signal.getsignal(number)  # type: ignore[assignment]
    try:
        from dask_jobqueue.slurm import SLURMCluster
    finally:
        signal.signal = usual
    return SLURMCluster


def connect(address: str, folder: Path) -> Started:
    """A client of a scheduler that the user started. Raises Incomplete where none answers."""
    security = tls.find_certificate() if address.startswith("tls:") else None
    try:
        client = Client(address, security=security, timeout=START_SECONDS)
    except OSError as error:
        raise Incomplete(
            "no scheduler answers",
            item=address,
            remedy="Start it (`dask scheduler`), or correct `executor` in the config",
        ) from error
    return Started(None, _wait_for_node(client, folder), None)


def _wait_for_node(client: Client, folder: Path) -> Client:
    try:
        client.wait_for_workers(1, timeout=START_SECONDS)
    except TimeoutError as error:
        client.close()
        raise Incomplete(
            "no node of the cluster has started",
            remedy=f"See the logs in {folder / 'logs'}, or those of your own `dask worker`",
        ) from error
    return client


def _try_job(script: str) -> None:
    """Raises UsageError with SLURM's own words where it would not accept a job."""
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as file:
        file.write(script)
        file.flush()
        try:
            done = subprocess.run(
                ["sbatch", "--test-only", file.name],
                capture_output=True,
                text=True,
                timeout=START_SECONDS,
                check=False,
            )
        except FileNotFoundError as error:
            raise UsageError(
                "there is no command sbatch on this machine",
                item="executor.slurm",
                remedy="Run on a login node of the cluster, or write `executor: local`",
            ) from error
    if done.returncode:
        raise UsageError(
            f"SLURM does not accept such a job: {done.stderr.strip()[-300:]}",
            item="executor.slurm",
            remedy="Correct the keys; `sinfo` lists the partitions",
        )
