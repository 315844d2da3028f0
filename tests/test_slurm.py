"""`pipelines/saco-sync.slurm` and a run's limits under a real SLURM of this machine alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from saco_data.model.reasons import State
from tests.conftest import ROOT, Saco
from tests.helpers.pipeline import items, states
from tests.helpers.slurm import ENDED, HERE, Slurm, own_slurm
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset
from tests.helpers.waiting import wait_until

SCRIPT = ROOT / "pipelines" / "saco-sync.slurm"


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    with own_slurm(1) as made:
        yield made


@pytest.fixture
def home(tmp_path: Path) -> TinySubset:
    """A silver folder as the script expects it, whose saco takes its time for each product."""
    small = TinySubset(tmp_path / "silver")
    small.install(f'PYTHONPATH="{ROOT}" exec {sys.executable} -m tests.helpers.slow_saco "$@"')
    return small


def submit(slurm: Slurm, home: TinySubset, *options: str) -> str:
    """Submits the task of the subset; returns the number of the job."""
    return slurm("sbatch", "--parsable", "--array=1", *options, SCRIPT, cwd=home.folder)


def log_of(home: TinySubset, job: str) -> str:
    return (home.folder / f"saco-sync-{job}_1.log").read_text()


def has_begun(home: TinySubset) -> bool:
    return any(home.folder.glob("begun-*"))


def test_a_task_of_the_array_syncs_its_subset(slurm: Slurm, home: TinySubset) -> None:
    job = submit(slurm, home)
    assert slurm.wait(job, *ENDED) == "COMPLETED"
    assert f"{SUBSET}: 5 made" in log_of(home, job)
    assert set(states(home.settings, SUBSET).values()) == {State.DONE}


@pytest.mark.parametrize("options", [("--full", "--signal=TERM"), ()])
def test_a_cancelled_task_charges_no_item_and_says_what_it_made(
    slurm: Slurm, home: TinySubset, saco: Saco, options: tuple[str, ...]
) -> None:
    job = submit(slurm, home)
    wait_until(lambda: has_begun(home))
    slurm("scancel", *options, job)
    slurm.wait(job, *ENDED)
    wait_until(lambda: "saco sync: stopped by SIGTERM (exit 143). 5 files: " in log_of(home, job))
    wait_until(lambda: not (home.settings.state / "lock").exists())
    known = items(home.settings, SUBSET)
    assert 0 < len(known) < len(NAMES)
    assert {(item.state, item.attempts) for item in known.values()} == {(State.DONE, 1)}
    assert f"Since last time: {SUBSET} {len(known)} made" in log_of(home, job)
    rest = saco("sync", SUBSET, "--json", cwd=home.folder)
    assert rest.returncode == 0, rest.stderr
    assert json.loads(rest.stdout)["subsets"][SUBSET]["made"] == len(NAMES) - len(known)


def test_a_task_at_its_time_limit_goes_on_later_in_the_same_log(
    slurm: Slurm, home: TinySubset
) -> None:
    job = submit(slurm, home)
    wait_until(lambda: has_begun(home))
    # What SLURM does by --signal before the time limit; limits are whole minutes.
    slurm("scancel", "--batch", "--signal=USR1", job)
    slurm.wait(job, "PENDING")
    # SLURM takes a job that starts again within the second for the one that it has just ended.
    time.sleep(2)
    before = log_of(home, job)
    assert "stopped by SIGTERM" in before and "The time limit is near" in before
    subprocess.run([HERE, "again", slurm.folder, job], check=True, timeout=60)
    state = slurm.wait(job, *ENDED)
    after = log_of(home, job)
    assert state == "COMPLETED", after
    assert after.startswith(before) and "saco sync: complete" in after[len(before) :]
    attempts = {item.attempts for item in items(home.settings, SUBSET).values()}
    assert attempts == {1}


def test_jobs_are_what_slurm_granted(slurm: Slurm, tmp_path: Path) -> None:
    ask = (
        "from saco_data.config.granted import memory_bytes, processors, workers; "
        "print(processors(), memory_bytes(), workers())"
    )
    command = f'{sys.executable} -c "{ask}"'

    def answer(*options: str) -> str:
        """What a job with these options prints."""
        log = tmp_path / "log"
        slurm("sbatch", "--wait", f"--output={log}", *options, "--wrap", command, cwd=tmp_path)
        return log.read_text().strip()

    assert answer("--cpus-per-task=1", "--mem=3G") == f"1 {3 << 30} 1"
    count = min(8, len(os.sched_getaffinity(0)))
    assert answer("--cpus-per-task=8", "--mem=2G") == f"{count} {2 << 30} 1"
    assert answer("--cpus-per-task=1", "--mem-per-cpu=5G") == f"1 {5 << 30} 1"
