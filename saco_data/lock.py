"""One run at a time on a `silver_path`, on network file systems too.

The lock is a file made by `link`, which is atomic on NFS where flock is not dependable. It names
host, process and boot; its holder touches it. A lock is stale when its process is dead (same
host) or when it was not touched for `STALE_SECONDS` (another host).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

from saco_data.errors import LockHeld
from saco_data.files import explained

TOUCH_SECONDS = 30.0
STALE_SECONDS = 900.0


class Lock:
    """Holds `<folder>/lock` while the context lasts. Raises LockHeld when another run has it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        self._done = threading.Event()
        self._toucher: threading.Thread | None = None
        self._mine: dict[str, Any] = {}

    def __enter__(self) -> Lock:
        self._mine = {
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
            "boot": _boot(),
        }
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            for _ in range(10):
                if self._take():
                    break
                self._remove_if_stale()
            else:
                raise self._held()
        self._toucher = threading.Thread(target=self._touch, name="lock", daemon=True)
        self._toucher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if _read(self.path) == self._mine:
            self.path.unlink(missing_ok=True)

    def _take(self) -> bool:
        mine = self.path.with_name(f".lock.{socket.gethostname()}.{os.getpid()}")
        mine.write_text(json.dumps(self._mine))
        try:
            os.link(mine, self.path)
        except FileExistsError:
            return False
        except OSError:
            # No hard links here: exclusive creation is the next best thing.
            try:
                with self.path.open("x") as file:
                    json.dump(self._mine, file)
            except FileExistsError:
                return False
        finally:
            mine.unlink(missing_ok=True)
        return True

    def _remove_if_stale(self) -> None:
        holder = _read(self.path)
        if holder and _alive(holder, self.path):
            raise self._held()
        # Of two runs that see the same stale lock only one can rename it.
        aside = self.path.with_name(f".lock.stale.{socket.gethostname()}.{os.getpid()}")
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(aside)
            aside.unlink(missing_ok=True)

    def _held(self) -> LockHeld:
        holder = _read(self.path) or {}
        return LockHeld(
            f"another run is at work here (host {holder.get('host')}, process {holder.get('pid')})",
            item=str(self.path),
            remedy="Wait for it, or stop it; a lock whose process is dead is taken over by itself",
        )

    def _touch(self) -> None:
        while not self._done.wait(TOUCH_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self.path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _alive(holder: dict[str, Any], path: Path) -> bool:
    if holder.get("host") != socket.gethostname():
        with contextlib.suppress(OSError):
            return time.time() - path.stat().st_mtime < STALE_SECONDS
        return False
    if holder.get("boot") != _boot():
        return False
    pid = holder.get("pid")
    # A process number may be used again; the start time tells whether it is the same process.
    return isinstance(pid, int) and holder.get("started") == _started(pid) != ""


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
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
    return text.rpartition(")")[2].split()[19]
