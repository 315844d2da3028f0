"""Workers that die while the pool starts, and shared memory that is full."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saco_data.executors.local import LocalExecutor
from tests.helpers.tiny_subset import SUBSET, TinySubset

SACO = str(Path(sys.executable).with_name("saco"))
DYING = """
import os, time
from saco_data.executors import pool_host
usual = pool_host._prepare_worker

def prepare(*arguments):
    try:
        os.close(os.open({flag!r}, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return usual(*arguments)
    time.sleep({pause})
    os._exit(9)
"""
PROGRAM = (
    "import dying_worker; from saco_data.executors import pool_host; "
    "pool_host._prepare_worker = dying_worker.prepare; pool_host.main({}, {}, {}, {}, {})"
)


@pytest.mark.parametrize(("width", "pause"), [(1, 0), (3, 0), (3, 1)])
def test_a_worker_that_dies_at_the_start_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, pause: int
) -> None:
    """With a pause, it dies after the others have started, while none has a task."""
    flag = tmp_path / "died"
    (tmp_path / "dying_worker.py").write_text(DYING.format(flag=str(flag), pause=pause))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("saco_data.executors.local._PROGRAM", PROGRAM)
    executor = LocalExecutor(width)
    try:
        futures = [executor.submit(os.getpid, seconds=60) for _ in range(5)]
        assert all(future.result() > 0 for future in futures)
        time.sleep(2 * pause)
        futures = [executor.submit(os.getpid, seconds=60) for _ in range(5)]
        assert all(future.result() > 0 for future in futures)
    finally:
        executor.close()
    assert flag.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="a small /dev/shm needs root")
def test_no_room_in_shared_memory_is_exit_5(tmp_path: Path) -> None:
    TinySubset(tmp_path)
    fill = "mount -t tmpfs -o size=4k none /dev/shm && head -c 4096 /dev/zero > /dev/shm/full"
    if subprocess.run(["unshare", "-m", "bash", "-c", fill], check=False).returncode:
        pytest.skip("cannot mount here")
    done = subprocess.run(
        ["unshare", "-m", "bash", "-c", f"{fill} && {SACO} prepare {SUBSET}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "/dev/shm" in done.stderr and "Traceback" not in done.stderr
