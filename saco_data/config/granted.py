"""What this process may use of its machine: processors and memory, as scheduler and system say."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

# What a worker needs while it decodes a large picture or a video, and what the run itself needs.
WORKER_BYTES = 1 << 30
RUN_BYTES = 1 << 30
_SYSTEM = Path("/")


def processors(environment: Mapping[str, str] = os.environ) -> int:
    """The number of processors that this process may use.

    The fewest of: its affinity, and what SLURM granted to the task, or to the job on this node.
    """
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    granted = _number(environment, "SLURM_CPUS_PER_TASK") or _number(
        environment, "SLURM_CPUS_ON_NODE"
    )
    return max(1, min(count, granted)) if granted else count


def memory_bytes(environment: Mapping[str, str] = os.environ, system: Path = _SYSTEM) -> int | None:
    """The memory in bytes that this process may use, where SLURM or a cgroup limits it; else None.

    `system`: the folder that holds `proc` and `sys`.
    """
    limits = list(_cgroup_limits(system))
    if on_node := _number(environment, "SLURM_MEM_PER_NODE"):
        limits.append(on_node << 20)
    if for_each := _number(environment, "SLURM_MEM_PER_CPU"):
        limits.append((for_each << 20) * processors(environment))
    return min(limits, default=None)


def workers(environment: Mapping[str, str] = os.environ, system: Path = _SYSTEM) -> int:
    """How many workers the processors and the memory of this process allow; at least one."""
    count = processors(environment)
    memory = memory_bytes(environment, system)
    if memory is not None:
        count = min(count, (memory - RUN_BYTES) // WORKER_BYTES)
    return max(1, count)


def _number(environment: Mapping[str, str], name: str) -> int:
    """A positive number from the environment; 0 where there is none."""
    text = environment.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _cgroup_limits(system: Path) -> Iterator[int]:
    """The memory limits in bytes of the control groups that hold this process."""
    try:
        lines = (system / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers:  # version 2
            root, file = system / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            root, file = system / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = root / name.lstrip("/")
        # In a container the group's own name may lie above what is mounted.
        for folder in (group, *group.parents):
            if not folder.is_relative_to(root):
                break
            try:
                text = (folder / file).read_text().strip()
            except OSError:
                continue
            # Version 1 writes a number near the largest one where there is no limit.
            if text.isdigit() and int(text) < 1 << 60:
                yield int(text)
