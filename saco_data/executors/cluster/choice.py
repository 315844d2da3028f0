"""Chooses the cluster that the config names."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from saco_data.config.keys import ClusterKeys
from saco_data.executors.cluster import start
from saco_data.executors.cluster.executor import ClusterExecutor

# Calls under way at a scheduler of the user's, whose nodes may come and go.
OPEN_WIDTH = 64


def make_cluster(where: str | ClusterKeys, jobs: int, folder: Path) -> ClusterExecutor:
    """The executor for `executor` of the config; `jobs`: worker processes on this machine."""
    if isinstance(where, ClusterKeys):
        slurm = where.slurm
        width = slurm.nodes * slurm.cores
        return ClusterExecutor(partial(start.start_slurm, slurm), folder, width)
    if where == "dask":
        return ClusterExecutor(partial(start.start_local, jobs), folder, jobs)
    return ClusterExecutor(partial(start.connect, where), folder, OPEN_WIDTH)
