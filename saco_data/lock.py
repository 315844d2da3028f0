"""One run at a time on a `silver_path`, on network file systems too.

The lock is a file made by `link`, which is atomic on NFS where flock is not dependable. It names
host, process and boot; its holder touches it. A lock is stale when its process is dead (same
host) or when it was not touched for `STALE_SECONDS` (another host). Of several runs that see a
stale lock only the one that takes a second lock for the takeover may remove it.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saco_data.errors import LockHeld
from saco_data.files import explained

TOUCH_SECONDS = 30.0
STALE_SECONDS = 900.0
# How long a lock file that cannot be read is respected.
BRIEF_SECONDS = 20.0


class Lock:
    """Holds `<folder>/lock` while the context lasts. Raises LockHeld when another run has it.

    `on_lost` is called, from another thread, if the lock turns out to be someone else's: this
    machine slept for longer than the others waited.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        self.on_lost: Callable[[], None] | None = None
        self._done = threading.Event()
        self._mine: dict[str, Any] = {}

    def __enter__(self) -> Lock:
        self._mine = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
            "boot": _boot(),
            "processes": _processes(),
        }
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self._take(self.path):
                self._remove_stale()
                if not self._take(self.path):
                    raise self._held()
        threading.Thread(target=self._touch, name="lock", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if _read(self.path) == self._mine:
            self.path.unlink(missing_ok=True)

    def _take(self, path: Path) -> bool:
        mine = self._private()
        mine.write_text(json.dumps(self._mine))
        try:
            os.link(mine, path)
        except FileExistsError:
            # Over NFS the answer to a successful call may get lost, and the repeated call fails.
            return mine.stat().st_nlink == 2
        except OSError:
            # No hard links here: exclusive creation is the next best thing.
            try:
                with path.open("x") as file:
                    json.dump(self._mine, file)
            except FileExistsError:
                return False
        finally:
            mine.unlink(missing_ok=True)
        return True

    def _remove_stale(self) -> None:
        if self._alive(self.path):
            raise self._held()
        takeover = self.path.with_name("lock.takeover")
        if not self._take(takeover):
            # Killed in the midst of a takeover, or at it this very moment.
            if self._alive(takeover):
                raise self._held()
            takeover.unlink(missing_ok=True)
            if not self._take(takeover):
                raise self._held()
        try:
            # Someone may have taken it over while we looked.
            if self._alive(self.path):
                raise self._held()
            self.path.unlink(missing_ok=True)
        finally:
            takeover.unlink(missing_ok=True)

    def _alive(self, path: Path) -> bool:
        holder = _read(path)
        if holder is None:
            # Being written, or cut off by a power failure.
            return path.exists() and self._age(path) < BRIEF_SECONDS
        mine = self._mine
        if any(holder.get(name) != mine[name] for name in ("host", "processes")):
            # Its process cannot be seen from here.
            return self._age(path) < STALE_SECONDS
        if holder.get("boot") != mine["boot"]:
            return False
        pid = holder.get("pid")
        # A process number may be used again; the start time tells whether it is the same process.
        return isinstance(pid, int) and holder.get("started") == _started(pid) != ""

    def _age(self, path: Path) -> float:
        """Seconds since a file was touched, by the clock of the file system that holds it."""
        mine = self._private()
        try:
            mine.touch()
            return mine.stat().st_mtime - path.stat().st_mtime
        except FileNotFoundError:
            return float("inf")
        finally:
            mine.unlink(missing_ok=True)

    def _private(self) -> Path:
        name = f".lock.{socket.gethostname()}.{os.getpid()}.{threading.get_ident()}"
        return self.path.with_name(name)

    def _held(self) -> LockHeld:
        holder = _read(self.path) or {}
        return LockHeld(
            f"another run is at work here (host {holder.get('host')}, process {holder.get('pid')})",
            item=str(self.path),
            remedy="Wait for it, or stop it; a lock whose process is dead is taken over by itself",
        )

    def _touch(self) -> None:
        while not self._done.wait(TOUCH_SECONDS):
            if _read(self.path) == self._mine:
                with contextlib.suppress(OSError):
                    os.utime(self.path)
            elif self.path.exists() and not self._done.is_set():
                if self.on_lost:
                    self.on_lost()
                return


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _processes() -> str:
    """Which processes can be seen from here: containers on one machine do not see each other's."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - not a path
    except OSError:
        return ""


def _started(pid: int) -> str:
    """The start time of a process in clock ticks since boot; "" for one that does not run."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self").exists():
            return ""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:
            pass
        return "running"
    state, *fields = text.rpartition(")")[2].split()
    # A zombie holds nothing any more; its parent has not noticed yet.
    return "" if state == "Z" else fields[18]
