"""A Dask cluster of the user's own on this machine, and the processes of any such cluster."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from saco_data.executors.cluster.start import NODE
from tests.helpers.waiting import wait_until


def nannies() -> list[psutil.Process]:
    """The processes `dask worker` that this test started."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "distributed.cli.dask_worker" in process.cmdline():
                found.append(process)
    return found


def worker_of(nanny: psutil.Process) -> psutil.Process:
    """The process below a nanny that takes the tasks."""
    (found,) = [each for each in nanny.children() if "spawn_main" in " ".join(each.cmdline())]
    return found


@contextlib.contextmanager
def own_cluster(folder: Path, *nodes: dict[str, str], port: int = 0) -> Iterator[str]:
    """The address of a scheduler with a node for each of these environments."""
    folder.mkdir(parents=True, exist_ok=True)
    processes = []

    def start(name: str, *arguments: str, **environment: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.{name}", *arguments]
        with (folder / "log").open("ab") as log:
            # Without a terminal or a group that it could take with it.
            processes.append(
                subprocess.Popen(
                    command,
                    cwd=folder,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **environment},
                    start_new_session=True,
                )
            )

    file = folder / "scheduler.json"
    options = ("--host", "127.0.0.1", "--no-dashboard")
    try:
        start("dask_scheduler", *options, "--port", "0", "--scheduler-file", str(file))
        wait_until(file.exists)
        for environment in nodes:
            start(
                "dask_worker",
                *(*options, "--scheduler-file", str(file), "--nthreads", "1"),
                *("--local-directory", str(folder / "scratch")),
                **NODE,
                **environment,
            )
        from distributed import Client

        with Client(scheduler_file=str(file)) as client:
            client.wait_for_workers(len(nodes), timeout=120)
            address = str(client.scheduler_info()["address"])
        yield address
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()
