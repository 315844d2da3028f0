"""One run at a time, and the lock of a dead process is taken over."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import pytest

from saco_data.engine import session
from saco_data.engine.pipeline import STOPPING
from saco_data.model.errors import LockHeld
from saco_data.state import identity
from saco_data.state import lock as module
from saco_data.state.lock import Lock
from tests.helpers.executor import InlineExecutor
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset
from tests.helpers.waiting import wait_until

R = TypeVar("R")

# Above the highest possible process number.
NO_PROCESS = 1 << 22
HOLD = """
import sys, time
from pathlib import Path
from saco_data.state.lock import Lock
with Lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def start_holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stdout.readline() == "held\n"
    return process


def write_changed_lock(folder: Path, **values: object) -> Path:
    """Leaves a lock whose holder differs from this process in some values."""
    path = folder / "lock"
    with Lock(folder):
        content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, **values}))
    return path


def test_a_second_run_is_told_who_holds_it(tmp_path: Path) -> None:
    process = start_holder(tmp_path)
    try:
        with pytest.raises(LockHeld, match=f"process {process.pid}") as caught, Lock(tmp_path):
            pass
        assert caught.value.exit_code == 6
    finally:
        process.kill()
        process.wait()


def test_the_lock_of_a_killed_process_is_taken_over_at_once(tmp_path: Path) -> None:
    process = start_holder(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Lock(tmp_path):
        assert json.loads((tmp_path / "lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_process_number_is_in_use_again_is_stale(tmp_path: Path) -> None:
    write_changed_lock(tmp_path, started="1")
    with Lock(tmp_path):
        pass


def test_a_lock_from_before_a_reboot_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "machine_id", lambda: "0" * 32)
    write_changed_lock(tmp_path, boot="another")
    with Lock(tmp_path):
        pass


def test_without_machine_ids_another_boot_counts_as_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "machine_id", lambda: "")
    path = write_changed_lock(tmp_path, boot="another")
    with pytest.raises(LockHeld), Lock(tmp_path):
        pass
    long_ago = time.time() - module.STALE_SECONDS - 60
    os.utime(path, (long_ago, long_ago))
    with Lock(tmp_path):
        pass


@pytest.mark.parametrize(
    "elsewhere",
    [{"host": "another"}, {"processes": "pid:[1]"}, {"machine": "1" * 32, "boot": "another"}],
)
def test_a_process_that_is_not_visible_from_here_is_trusted_while_it_touches_its_lock(
    tmp_path: Path, elsewhere: dict[str, str]
) -> None:
    path = write_changed_lock(tmp_path, pid=1, **elsewhere)
    with pytest.raises(LockHeld), Lock(tmp_path):
        pass
    long_ago = time.time() - module.STALE_SECONDS - 60
    os.utime(path, (long_ago, long_ago))
    with Lock(tmp_path):
        pass


def test_an_incomplete_lock_is_respected_for_a_short_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    path.write_text('{"host": "v')
    with pytest.raises(LockHeld), Lock(tmp_path):
        pass
    os.utime(path, (time.time() - 60, time.time() - 60))
    with Lock(tmp_path):
        pass


def test_an_unreadable_lock_is_respected_until_it_is_stale(tmp_path: Path) -> None:
    path = tmp_path / "silver" / "lock"
    path.parent.mkdir()
    # Reading a folder as a file fails for every user, also for root.
    path.symlink_to(tmp_path)
    for age in (60, module.STALE_SECONDS - 60):
        os.utime(path, (time.time() - age, time.time() - age))
        with pytest.raises(LockHeld, match="cannot be read"), Lock(path.parent):
            pass
    long_ago = time.time() - module.STALE_SECONDS - 60
    os.utime(path, (long_ago, long_ago))
    with Lock(path.parent):
        pass
    assert list(path.parent.iterdir()) == []


def write_killed_takeover(folder: Path, lock: int, taker: int) -> None:
    """Leaves the lock of a dead process and a claim on it by another dead process."""
    stale = write_changed_lock(folder, pid=taker).read_bytes()
    claim = Lock(folder)._claim_path(write_changed_lock(folder, pid=lock).read_bytes())
    claim.write_bytes(stale)


def test_a_takeover_that_was_killed_is_taken_over(tmp_path: Path) -> None:
    write_killed_takeover(tmp_path, NO_PROCESS, NO_PROCESS + 1)
    with Lock(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_only_one_of_two_processes_continues_a_killed_takeover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One is slow between checking and removing, while the other does the same."""
    write_killed_takeover(tmp_path, NO_PROCESS, NO_PROCESS + 1)
    looked, midst, inside, over = (threading.Event() for _ in range(4))
    looks: list[int] = []
    start_time_of = identity.start_time_of

    def slowly(pid: int) -> str:
        if threading.current_thread() is other:
            looks.append(pid)
            if looks.count(NO_PROCESS) == 2:
                midst.set()
                inside.wait(0.3)
        elif pid == NO_PROCESS + 1:
            looked.set()
            midst.wait(300)
        elif pid == NO_PROCESS and looked.is_set():
            inside.wait(300)
        return start_time_of(pid)

    def take() -> None:
        looked.wait(300)
        with Lock(tmp_path):
            inside.set()
            over.wait(300)

    other = threading.Thread(target=take)
    monkeypatch.setattr(identity, "start_time_of", slowly)
    other.start()
    try:
        with pytest.raises(LockHeld), Lock(tmp_path):
            pass
    finally:
        over.set()
        other.join()
    assert inside.is_set()
    assert list(tmp_path.iterdir()) == []


def test_only_one_of_many_processes_takes_over_a_stale_lock(tmp_path: Path) -> None:
    write_changed_lock(tmp_path, started="1")
    script = HOLD.replace("time.sleep(60)", "time.sleep(1.5)")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(6)
    ]
    # The others are refused while the first one holds it.
    spoken = [process.communicate()[0] for process in processes]
    assert "held\n" in spoken
    assert [process.returncode == 0 for process in processes] == [
        said == "held\n" for said in spoken
    ]


def test_a_held_lock_is_touched_regularly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOUCH_SECONDS", 0.02)
    with Lock(tmp_path):
        os.utime(tmp_path / "lock", (0, 0))
        wait_until(lambda: (tmp_path / "lock").stat().st_mtime != 0)


def test_a_holder_that_lost_its_lock_is_told_and_leaves_the_new_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOUCH_SECONDS", 0.02)
    lost = threading.Event()
    with Lock(tmp_path) as mine:
        mine.on_lost = lost.set
        other = (tmp_path / "lock").read_text().replace('"host": "', '"host": "x')
        (tmp_path / "lock").write_text(other)
        assert lost.wait(300)
    assert (tmp_path / "lock").read_text() == other


class Slept(InlineExecutor):
    """While its first task runs, another machine takes over, and this one notices."""

    def __init__(self, lock: Path) -> None:
        self.lock = lock
        self.submitted = 0

    def submit(self, function: Callable[..., R], *arguments: Any, seconds: float) -> Future[R]:
        """See `Executor.submit`."""
        self.submitted += 1
        if self.submitted == 1:
            self.lock.write_text(self.lock.read_text().replace('"host": "', '"host": "x'))
            for each in threading.enumerate():
                if each.name == "lock":
                    each.join(300)
        return super().submit(function, *arguments, seconds=seconds)


def test_a_run_that_lost_its_lock_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOUCH_SECONDS", 0.02)
    small = TinySubset(tmp_path)
    executor = Slept(small.settings.state / "lock")
    finished = session.go(small.settings, [SUBSET], "prepare", small.notes, executor=executor)
    assert finished.code == 3
    assert executor.submitted < len(NAMES)
    assert any(STOPPING in line for line in small.notes.lines)
    # The new lock is still there, and finished products are kept.
    assert '"host": "x' in executor.lock.read_text()
    executor.lock.unlink()
    assert small.prepare().code == 0


def test_a_lock_that_is_unreadable_for_a_while_is_still_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOUCH_SECONDS", 0.02)
    lost = threading.Event()
    path, aside = tmp_path / "lock", tmp_path / "aside"
    with Lock(tmp_path) as mine:
        mine.on_lost = lost.set
        path.rename(aside)
        path.symlink_to(tmp_path)
        assert not lost.wait(0.2)
        os.utime(aside, (0, 0))
        aside.replace(path)
        wait_until(lambda: path.stat().st_mtime != 0)
    assert list(tmp_path.iterdir()) == []


def test_the_lock_works_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with Lock(tmp_path):
        with pytest.raises(LockHeld), Lock(tmp_path):
            pass
        assert (tmp_path / "lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_private_files_and_claims_of_dead_processes_are_removed(tmp_path: Path) -> None:
    with Lock(tmp_path):
        dead = {**json.loads((tmp_path / "lock").read_text()), "pid": NO_PROCESS}
    alive = start_holder(tmp_path / "other")
    try:
        living = (tmp_path / "other" / "lock").read_text()
        kept = [tmp_path / ".lock.fresh.1", tmp_path / ".lock.living.1"]
        kept[0].touch()
        kept[1].write_text(living)
        gone = [
            tmp_path / ".lock.dead.1",
            tmp_path / "lock.takeover.dead",
            tmp_path / ".lock.old.1",
        ]
        for path in gone[:2]:
            path.write_text(json.dumps(dead))
        gone[2].touch()
        os.utime(gone[2], (1, 1))
        with Lock(tmp_path):
            assert [path for path in gone if path.exists()] == []
            assert all(path.exists() for path in kept)
    finally:
        alive.kill()
        alive.wait()
