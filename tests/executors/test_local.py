"""Workers: limited in time and memory, replaced when they die; nothing ever hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from saco_data.executors import WorkerLost
from saco_data.executors.local import LocalExecutor
from saco_data.model.errors import SacoError


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor(2, memory_bytes=1 << 30)
    yield made
    made.close(now=True)


def test_results_come_back(executor: LocalExecutor) -> None:
    futures = [executor.submit(pow, 2, n, seconds=30) for n in range(20)]
    assert [future.result() for future in futures] == [2**n for n in range(20)]


def test_a_task_that_hangs_costs_itself_only(executor: LocalExecutor) -> None:
    slow = executor.submit(time.sleep, 60, seconds=0.5)
    with pytest.raises(TimeoutError):
        slow.result(timeout=20)
    assert executor.submit(pow, 2, 3, seconds=30).result(timeout=20) == 8


def test_a_task_that_crashes_its_process_costs_itself_only(executor: LocalExecutor) -> None:
    with pytest.raises(WorkerLost, match="died"):
        executor.submit(os._exit, 7, seconds=30).result(timeout=20)
    assert executor.submit(pow, 2, 3, seconds=30).result(timeout=20) == 8


def test_memory_is_limited(executor: LocalExecutor) -> None:
    with pytest.raises((MemoryError, WorkerLost)):
        executor.submit(bytearray, 2 << 30, seconds=30).result(timeout=20)


def test_an_error_is_the_tasks_own(executor: LocalExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 1, 0, seconds=30).result(timeout=20)


def test_a_broken_pool_is_replaced(executor: LocalExecutor) -> None:
    pids = {executor.submit(os.getpid, seconds=30).result(timeout=20) for _ in range(8)}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            assert executor.submit(pow, 2, 3, seconds=30).result(timeout=20) == 8
            return
        except WorkerLost:
            continue
    pytest.fail("no worker came back")


def test_workers_that_cannot_start_are_no_reason_to_wait_for_ever(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saco_data.executors.local._prepare_worker", _dies)
    monkeypatch.setattr("saco_data.executors.local.START_SECONDS", 3)
    with pytest.raises(SacoError, match="no worker process can start"):
        executor.submit(pow, 2, 3, seconds=30)


def _dies(*_: object) -> None:
    os._exit(1)


def test_workers_import_what_we_do_and_not_what_lies_about(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "folder"
    for name in (home, folder):
        name.mkdir()
    (folder / "PIL.py").write_text("open('imported', 'w')")
    (folder / "saco_data").mkdir()
    (folder / "saco_data" / "__init__.py").write_text("open('imported', 'w')")
    script = home / "script.py"
    script.write_text(
        "from saco_data.executors.local import LocalExecutor\n"
        "if __name__ == '__main__':\n"
        "    executor = LocalExecutor(1)\n"
        "    print(executor.submit(abs, -8, seconds=30).result())\n"
        "    executor.close()\n"
    )
    ended = subprocess.run(
        [sys.executable, script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.stderr == "" and ended.stdout == "8\n"
    assert not (folder / "imported").exists()
