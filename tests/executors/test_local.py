"""Workers: limited in time and memory, replaced when they die, apart from the caller's program."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from saco_data.executors import WorkerLost
from saco_data.executors.local import LocalExecutor
from saco_data.model.errors import SacoError
from saco_data.storage.files import sha256_of
from tests.conftest import ROOT
from tests.helpers.waiting import wait_until


@pytest.fixture
def executor() -> Iterator[LocalExecutor]:
    made = LocalExecutor(2, memory_bytes=1 << 30)
    yield made
    made.close(now=True)


def test_results_come_back(executor: LocalExecutor) -> None:
    futures = [executor.submit(pow, 2, n, seconds=30) for n in range(20)]
    assert [future.result() for future in futures] == [2**n for n in range(20)]


def test_a_task_that_hangs_does_not_affect_others(executor: LocalExecutor) -> None:
    slow = executor.submit(time.sleep, 60, seconds=0.5)
    with pytest.raises(TimeoutError):
        slow.result()
    assert executor.submit(pow, 2, 3, seconds=30).result() == 8


def test_a_task_that_crashes_its_process_does_not_affect_others(executor: LocalExecutor) -> None:
    with pytest.raises(WorkerLost, match="died"):
        executor.submit(os._exit, 7, seconds=30).result()
    assert executor.submit(pow, 2, 3, seconds=30).result() == 8


def test_memory_is_limited(executor: LocalExecutor) -> None:
    with pytest.raises((MemoryError, WorkerLost)):
        executor.submit(bytearray, 2 << 30, seconds=30).result()


def test_an_error_of_a_task_is_raised_by_its_future(executor: LocalExecutor) -> None:
    with pytest.raises(ZeroDivisionError):
        executor.submit(divmod, 1, 0, seconds=30).result()


def test_a_broken_pool_is_replaced(executor: LocalExecutor) -> None:
    pids = {executor.submit(os.getpid, seconds=30).result() for _ in range(8)}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)

    def came_back() -> bool:
        try:
            assert executor.submit(pow, 2, 3, seconds=30).result() == 8
        except WorkerLost:
            return False
        return True

    wait_until(came_back)


def test_a_killed_pool_loses_its_running_tasks_only(executor: LocalExecutor) -> None:
    slow = executor.submit(time.sleep, 60, seconds=90)
    assert executor._pool
    executor._pool._process.kill()
    with pytest.raises(WorkerLost, match="broke down"):
        slow.result()
    assert executor.submit(pow, 2, 3, seconds=30).result() == 8


GROUP = """
import os, sys, time
from saco_data.executors.local import LocalExecutor
from tests.executors.test_local import note_and_sleep
import signal
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
executor = LocalExecutor(2)
futures = [executor.submit(note_and_sleep, f"begun{n}", 1.5, seconds=300) for n in range(4)]
while not asked:
    time.sleep(0.01)
print([future.result() for future in futures])
executor.close()
"""


def note_and_sleep(path: str, seconds: float) -> str:
    """Notes that it has begun, and returns the note's path after some time."""
    Path(path).touch()
    time.sleep(seconds)
    return path


def test_sigterm_to_the_whole_process_group_loses_no_task(tmp_path: Path) -> None:
    """A scheduler that stops a job sends it to every process of the job."""
    process = subprocess.Popen(
        [sys.executable, "-c", GROUP],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_until(lambda: len(list(tmp_path.glob("begun*"))) >= 2)
    os.killpg(process.pid, signal.SIGTERM)
    printed, _ = process.communicate(timeout=300)
    assert (process.returncode, printed) == (0, f"{[f'begun{n}' for n in range(4)]}\n")


def test_workers_that_cannot_start_are_reported(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "saco_data.executors.local._PROGRAM",
        "from saco_data.executors import pool_host\n"
        "from tests.executors.test_local import _end_at_once\n"
        "pool_host._prepare_worker = _end_at_once\n"
        "pool_host.main({}, {}, {}, {}, {})",
    )
    monkeypatch.setattr("saco_data.executors.local.START_SECONDS", 3)
    with pytest.raises(SacoError, match="no worker process can start"):
        executor.submit(pow, 2, 3, seconds=30)


def test_a_pool_that_cannot_start_is_reported(
    executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saco_data.executors.local._PROGRAM", "raise SystemExit(1)")
    with pytest.raises(SacoError, match="no worker process can start"):
        executor.submit(pow, 2, 3, seconds=30)


def _end_at_once(*_: object) -> None:
    os._exit(1)


class Unreadable(Exception):
    """An error that can be pickled but not read again."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} {second}")


def _raise_unreadable() -> None:
    raise Unreadable("so", "it is")


def test_an_error_that_cannot_be_transferred_is_described(executor: LocalExecutor) -> None:
    with pytest.raises(RuntimeError, match="Unreadable: so it is"):
        executor.submit(_raise_unreadable, seconds=30).result()
    with pytest.raises(Exception, match="pickle"):
        executor.submit(threading.Lock, seconds=30).result()
    assert executor.submit(pow, 2, 3, seconds=30).result() == 8


def test_an_error_names_the_line_in_the_worker(executor: LocalExecutor) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        executor.submit(sha256_of, Path("/none"), seconds=30).result()
    assert "in sha256_of" in caught.value.__notes__[0]


def test_closing_waits_for_results_and_stopping_does_not(executor: LocalExecutor) -> None:
    last = executor.submit(time.sleep, 0.7, seconds=30)
    executor.close()
    assert last.done() and last.result() is None
    assert executor.submit(pow, 2, 3, seconds=30).cancelled()

    stopped = LocalExecutor(1)
    endless = stopped.submit(time.sleep, 600, seconds=900)
    waiting = threading.Thread(target=stopped.close)
    waiting.start()
    stopped.close(now=True)
    waiting.join(30)
    assert not waiting.is_alive() and endless.cancelled()


SCRIPT = """
import sys
sys.stderr.write("run ")
from saco_data.executors.local import LocalExecutor
executor = LocalExecutor(2)
print(executor.submit(abs, -8, seconds=30).result())
executor.close()
"""
GUARDED = SCRIPT.replace("executor = ", "if __name__ == '__main__':\n  executor = ")
GUARDED = GUARDED.replace("\nprint", "\n  print").replace("\nexecutor.close", "\n  executor.close")


@pytest.mark.parametrize("script", [SCRIPT, GUARDED])
@pytest.mark.parametrize("how", ["file", "module", "command", "input"])
def test_workers_do_not_run_the_script_of_the_user(tmp_path: Path, script: str, how: str) -> None:
    (tmp_path / "user_script.py").write_text(script)
    arguments = {
        "file": ["user_script.py"],
        "module": ["-m", "user_script"],
        "command": ["-c", script],
        "input": ["-"],
    }
    ended = subprocess.run(
        [sys.executable, *arguments[how]],
        cwd=tmp_path,
        input=script,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert (ended.stdout, ended.stderr) == ("8\n", "run ")


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for_end(processes: list[int]) -> None:
    wait_until(lambda: not any(map(is_running, processes)))


def test_a_killed_caller_leaves_no_process(tmp_path: Path) -> None:
    script = (
        "import os, time\n"
        "from saco_data.executors.local import LocalExecutor\n"
        "executor = LocalExecutor(1)\n"
        "for ask in (os.getpid, os.getppid):\n"
        "    print(executor.submit(ask, seconds=30).result(), flush=True)\n"
        "print(executor._pool._process.pid, flush=True)\n"
        "executor.submit(time.sleep, 600, seconds=900).result()\n"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert caller.stdout
    processes = [int(caller.stdout.readline()) for _ in range(3)]
    assert all(map(is_running, processes))
    caller.kill()
    wait_for_end(processes)
    assert caller.communicate()[1] == ""


def test_ctrl_c_reaches_the_caller_only() -> None:
    script = (
        "import signal, time\n"
        "from saco_data.executors.local import LocalExecutor\n"
        "signal.signal(signal.SIGINT, lambda *_: None)\n"
        "executor = LocalExecutor(2)\n"
        "print('starting', flush=True)\n"
        "tasks = [executor.submit(time.sleep, 0.1, seconds=30) for _ in range(12)]\n"
        "print([task.result() for task in tasks].count(None))\n"
        "executor.close()\n"
    )
    caller = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert caller.stdout and caller.stdout.readline() == "starting\n"
    while caller.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(caller.pid, signal.SIGINT)
        time.sleep(0.02)
    assert caller.communicate(timeout=300) == ("12\n", "")


def test_an_executor_that_is_never_closed_ends_with_the_program(tmp_path: Path) -> None:
    script = (
        "import os, time\n"
        "from saco_data.executors.local import LocalExecutor\n"
        "executor = LocalExecutor(1)\n"
        "for ask in (os.getpid, os.getppid):\n"
        "    print(executor.submit(ask, seconds=30).result())\n"
        "print(executor._pool._process.pid)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=300
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    wait_for_end([int(line) for line in ended.stdout.split()])


def test_workers_import_the_packages_of_the_caller_and_nothing_from_the_current_folder(
    tmp_path: Path,
) -> None:
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
        timeout=300,
    )
    assert ended.stderr == "" and ended.stdout == "8\n"
    assert not (folder / "imported").exists()
