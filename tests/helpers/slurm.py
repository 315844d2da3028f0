"""A SLURM of our own, all of whose nodes are this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.waiting import wait_until

HERE = Path(__file__).with_name("slurm_here.sh")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
ENDED = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


class Slurm:
    """The commands of a SLURM of our own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("SLURM_")}
        self.environment["SLURM_CONF"] = str(folder / "slurm.conf")

    def __call__(self, *command: str | Path, cwd: Path | None = None) -> str:
        """What a command of SLURM prints on stdout."""
        ended = subprocess.run(
            [*map(str, command)],
            cwd=cwd,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()

    def state(self, job: str) -> str:
        """The state of a job, as `COMPLETED`."""
        facts = self("scontrol", "show", "job", "--oneliner", job).split()
        return dict(fact.partition("=")[::2] for fact in facts)["JobState"]

    def wait(self, job: str, *wanted: str) -> str:
        """The state of a job, as soon as it is one of these."""
        wait_until(lambda: self.state(job) in wanted)
        return self.state(job)


@contextlib.contextmanager
def own_slurm(nodes: int) -> Iterator[Slurm]:
    """A SLURM of so many nodes, all this machine; skips the test where none is installed."""
    path = os.environ["PATH"] + ":/usr/sbin"
    missing = [name for name in PROGRAMS if not shutil.which(name, path=path)]
    if missing:
        message = f"no {', '.join(missing)}: install slurmctld, slurmd, slurm-client and munge"
        # Where all tests must run, a missing SLURM is a failure.
        assert not os.environ.get("SACO_MUST_TEST_SLURM"), message
        warnings.warn(message, stacklevel=1)
        pytest.skip(message)
    # Its path must be short: it holds sockets.
    with tempfile.TemporaryDirectory(prefix="slurm-") as name:
        folder = Path(name)
        environment = {**os.environ, "SLURM_HERE_NODES": str(nodes)}
        try:
            subprocess.run([HERE, "start", folder], check=True, timeout=120, env=environment)
            yield Slurm(folder)
        finally:
            subprocess.run([HERE, "stop", folder], check=False, timeout=120, env=environment)
