"""Processors and memory: what the system and SLURM grant, not what the machine has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from saco_data.config.granted import memory_bytes, processors, workers
from saco_data.config.settings import parse

HERE = len(os.sched_getaffinity(0))
GIB = 1 << 30
ASK = "from saco_data.config.settings import parse; print(parse('').keys.jobs)"


def make_system(folder: Path, groups: str, **limits: str) -> Path:
    """A folder with the `proc` and `sys` of a system; "__" stands for "/" in names of groups."""
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/self/cgroup").write_text(groups)
    for name, limit in limits.items():
        file = folder / "sys/fs/cgroup" / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{limit}\n")
    return folder


@pytest.mark.parametrize(
    "environment, count",
    [
        ({}, HERE),
        ({"SLURM_CPUS_PER_TASK": "1"}, 1),
        ({"SLURM_CPUS_ON_NODE": "1"}, 1),
        ({"SLURM_CPUS_PER_TASK": "1", "SLURM_CPUS_ON_NODE": "64"}, 1),
        ({"SLURM_CPUS_PER_TASK": "512"}, HERE),
        ({"SLURM_CPUS_PER_TASK": "many"}, HERE),
        ({"SLURM_CPUS_PER_TASK": "0"}, HERE),
    ],
)
def test_processors_are_those_that_were_granted(environment: dict[str, str], count: int) -> None:
    assert processors(environment) == count


def test_the_affinity_is_respected() -> None:
    one = f"import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); {ASK}"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
    asked = subprocess.run([sys.executable, "-c", one], capture_output=True, env=environment)
    assert asked.stdout == b"1\n"


def test_memory_is_the_least_of_all_limits(tmp_path: Path) -> None:
    bare = make_system(tmp_path / "bare", "0::/\n")
    assert memory_bytes({}, bare) is None
    assert memory_bytes({"SLURM_MEM_PER_NODE": "2048"}, bare) == 2 * GIB
    assert memory_bytes({"SLURM_MEM_PER_NODE": "0"}, bare) is None  # all that the node has
    for_each = {"SLURM_MEM_PER_CPU": "1024", "SLURM_CPUS_PER_TASK": "1"}
    assert memory_bytes(for_each, bare) == GIB
    assert memory_bytes({}, tmp_path / "nothing") is None


def test_memory_of_control_groups_counts_and_of_those_above(tmp_path: Path) -> None:
    second = make_system(
        tmp_path / "second",
        "0::/job/step\n",
        **{"job__memory.max": str(3 * GIB), "job__step__memory.max": "max"},
    )
    assert memory_bytes({}, second) == 3 * GIB
    assert memory_bytes({"SLURM_MEM_PER_NODE": "1024"}, second) == GIB
    first = make_system(
        tmp_path / "first",
        "5:cpu,cpuacct:/job\n4:memory:/job\n",
        **{
            "memory__memory.limit_in_bytes": str((1 << 63) - 4096),
            "memory__job__memory.limit_in_bytes": str(5 * GIB),
        },
    )
    assert memory_bytes({}, first) == 5 * GIB


def test_workers_fit_into_the_memory(tmp_path: Path) -> None:
    bare = make_system(tmp_path, "0::/\n")
    assert workers({}, bare) == HERE
    assert workers({"SLURM_MEM_PER_NODE": "512"}, bare) == 1
    assert workers({"SLURM_MEM_PER_NODE": "2048"}, bare) == 1


def test_jobs_follow_from_what_was_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "1")
    assert parse("").keys.jobs == 1
    assert parse("jobs: 7").keys.jobs == 7
