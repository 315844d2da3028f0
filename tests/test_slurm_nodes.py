"""`executor: {slurm: ...}` under a real SLURM of three nodes, all of them this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saco_data.config.keys import ClusterKeys, SlurmKeys
from saco_data.executors.cluster.choice import make_cluster
from saco_data.executors.cluster.executor import ClusterExecutor
from saco_data.executors.cluster.start import import_slurm_cluster
from saco_data.executors.cluster.task import Task
from saco_data.model.errors import UsageError
from saco_data.model.reasons import State
from saco_data.sandbox.demo import SUBSETS, serve_miniature
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.sandbox.s3 import S3Server
from saco_data.state.lock import Lock
from tests.conftest import ROOT
from tests.helpers.cluster_faults import own_field, survive
from tests.helpers.folders import config
from tests.helpers.miniatures import again, assert_equal
from tests.helpers.pipeline import items, prepare, states
from tests.helpers.slurm import ENDED, HERE, Slurm, own_slurm
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset
from tests.helpers.waiting import wait_until

KEYS = {"nodes": 2, "cores": 1, "memory": "2GB", "walltime": "00:20:00"}
MARK = "MARKER"
TRAIN = "sa-v/train"


@pytest.fixture(scope="module")
def nodes() -> Iterator[Slurm]:
    with own_slurm(3) as made:
        yield made


@pytest.fixture(autouse=True)
def environment(nodes: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", nodes.environment["SLURM_CONF"])
    monkeypatch.setenv("SACO_PLANTED", f"{MARK}environment")


def running(nodes: Slurm) -> list[str]:
    """The numbers of the jobs that are nodes of ours, and run."""
    return nodes("squeue", "-h", "-n", "saco-data", "-t", "R", "-o", "%i").split()


def test_tasks_of_a_cancelled_node_run_again_and_no_secret_leaves(
    nodes: Slurm, tmp_path: Path
) -> None:
    keys = ClusterKeys(slurm=SlurmKeys.model_validate({**KEYS, "minimum_nodes": 2}))
    executor = make_cluster(keys, 1, tmp_path / "cluster")
    try:
        assert executor.width == 2
        assert executor.submit(os.getenv, "SACO_PLANTED", seconds=60).result() is None
        wait_until(lambda: len(running(nodes)) == 2)
        tasks = [executor.submit(time.sleep, 1.5, seconds=60) for _ in range(8)]
        time.sleep(1)
        nodes("scancel", running(nodes)[0])
        assert [task.result(timeout=200) for task in tasks] == [None] * 8
        # Another one comes in its place.
        wait_until(lambda: len(running(nodes)) == 2)
        for job in running(nodes):
            shown = nodes("scontrol", "show", "job", job) + nodes(
                "scontrol", "write", "batch_script", job, "-"
            )
            assert "dask_worker" in shown and MARK not in shown
            assert "PRIVATE KEY" not in shown
        folder = tmp_path / "cluster"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        logs = list((folder / "logs").glob("saco-data-*.err"))
        assert logs and not [log for log in logs if MARK in log.read_text()]
    finally:
        executor.close(now=True)
    wait_until(lambda: not running(nodes))


def test_silver_on_nodes_is_that_of_one_machine_though_a_node_is_cancelled(
    nodes: Slurm, tmp_path: Path
) -> None:
    with serve_miniature(tmp_path) as here:
        assert prepare(here, *SUBSETS) == 0
        there = again(tmp_path, "there", executor={"slurm": KEYS})
        cancelled = []

        def cancel() -> None:
            products = there.silver / "images"
            wait_until(lambda: any(products.rglob("*.jpg")))
            cancelled.append(running(nodes)[0])
            nodes("scancel", cancelled[0])

        canceller = threading.Thread(target=cancel)
        canceller.start()
        assert prepare(there, *SUBSETS) == 0
        canceller.join()
        assert cancelled
        assert_equal(here, there)


def test_archives_spread_over_the_nodes(
    nodes: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six archives, and nodes that come one after the other, each with room for all of them."""
    monkeypatch.setattr("saco_data.sandbox.recipes.sav_train.SHARDS", 6)
    archives = [f"sav_{number:03d}.tar" for number in range(6)]
    given: dict[str, str] = {}
    takers: dict[str, str] = {}
    usual_send, usual_settle = ClusterExecutor._send, ClusterExecutor._settle

    def send(executor: ClusterExecutor, task: Task) -> None:
        given[task.name] = task.address
        usual_send(executor, task)

    def settle(executor: ClusterExecutor, task: Task, running: Any) -> None:
        takers[task.name] = running.result().address
        usual_settle(executor, task, running)

    monkeypatch.setattr(ClusterExecutor, "_send", send)
    monkeypatch.setattr(ClusterExecutor, "_settle", settle)
    with (
        serve(tmp_path / "served", {TRAIN: build_subset(TRAIN)}) as mounts,
        contextlib.ExitStack() as locks,
    ):
        settings = config(
            tmp_path,
            collections={"sa-v": {**mounts.keys["collections"]["sa-v"], "path": "sa-v"}},
            limits={TRAIN: {"concurrency": 6}},
            executor={"slurm": {**KEYS, "nodes": 3, "cores": 8}},
        )
        # No node ends an archive before the last one has been given to a node.
        for archive in archives:
            locks.enter_context(Lock(settings.state / "shards" / f"sa-v.train.{archive}"))

        def release() -> None:
            wait_until(lambda: len(given) == len(archives))
            locks.close()

        releasing = threading.Thread(target=release)
        releasing.start()
        assert prepare(settings, TRAIN) == 0
        releasing.join()
    assert takers == given and takers.keys() == {f"{TRAIN} {archive}" for archive in archives}
    assert sorted(Counter(takers.values()).values()) == [2, 2, 2]
    wait_until(lambda: not running(nodes))


def test_the_coordinator_is_a_job_that_starts_its_nodes(nodes: Slurm, tmp_path: Path) -> None:
    small = TinySubset(tmp_path / "silver", executor={"slurm": KEYS})
    small.install(f'exec {Path(sys.executable).with_name("saco")} "$@"')
    script = ROOT / "pipelines" / "saco-cluster.slurm"
    job = nodes("sbatch", "--parsable", script, SUBSET, cwd=small.folder)
    state = nodes.wait(job, *ENDED)
    log = (small.folder / f"saco-cluster-{job}.log").read_text()
    assert state == "COMPLETED", log
    assert f"{SUBSET}: 5 made" in log
    assert set(states(small.settings, SUBSET).values()) == {State.DONE}
    logs = small.settings.state / "cluster" / "logs"
    assert list(logs.glob("saco-data-*.err"))
    wait_until(lambda: not running(nodes))


def test_a_coordinator_at_its_time_limit_is_requeued_and_goes_on(
    nodes: Slurm, tmp_path: Path
) -> None:
    small = TinySubset(tmp_path / "silver", executor={"slurm": {**KEYS, "nodes": 1}})
    small.install(f'PYTHONPATH="{ROOT}" exec {sys.executable} -m tests.helpers.slow_saco "$@"')
    script = ROOT / "pipelines" / "saco-cluster.slurm"
    job = nodes("sbatch", "--parsable", script, SUBSET, cwd=small.folder)
    wait_until(lambda: any(small.folder.glob("begun-*")))
    # What SLURM does by --signal before the time limit; limits are whole minutes.
    nodes("scancel", "--batch", "--signal=USR1", job)
    nodes.wait(job, "PENDING", *ENDED)
    # SLURM takes a job that starts again within the second for the one that it has just ended.
    time.sleep(2)
    log = small.folder / f"saco-cluster-{job}.log"
    before = log.read_text()
    assert "The time limit is near" in before, before
    known = items(small.settings, SUBSET)
    assert 0 < len(known) < len(NAMES)
    # Its nodes end with it.
    wait_until(lambda: not running(nodes))
    subprocess.run([HERE, "again", nodes.folder, job], check=True, timeout=60)
    state = nodes.wait(job, *ENDED)
    after = log.read_text()
    assert state == "COMPLETED", after
    assert after.startswith(before) and "saco sync: complete" in after[len(before) :]
    assert {item.attempts for item in items(small.settings, SUBSET).values()} == {1}
    assert len(list(small.folder.glob("begun-*"))) == len(NAMES)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_faults_under_slurm(nodes: Slurm, tmp_path: Path, bucket_server: S3Server) -> None:
    with own_field(tmp_path, bucket_server, {"slurm": {**KEYS, "minimum_nodes": 2}}) as field:

        def cancel_node() -> bool:
            jobs = running(nodes)
            for job in jobs[:1]:
                nodes("scancel", job)
            return bool(jobs)

        kinds = {
            "job": cancel_node,
            "coordinator": field.kill_coordinator,
            "bucket": field.stop_bucket,
        }
        # Nodes need some seconds to come: sooner there is none to cancel.
        assert survive(field, 20, kinds, seconds=12)["job"]
    wait_until(lambda: not running(nodes))


def test_signals_are_still_ours_on_a_cluster() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    import_slurm_cluster()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_slurm_refuses_is_said_at_once(tmp_path: Path) -> None:
    keys = ClusterKeys(slurm=SlurmKeys.model_validate({**KEYS, "partition": "nowhere"}))
    executor = make_cluster(keys, 1, tmp_path / "cluster")
    with pytest.raises(UsageError, match="invalid partition"):
        executor.submit(pow, 2, 3, seconds=60)
    executor.close()
