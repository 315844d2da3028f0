"""One run at a time on a `silver_path`, on network file systems too.

The lock is a file made by `link`, which is atomic on NFS where flock is not dependable. It names
host, machine, process and boot; its holder touches it. A lock is stale when its process is dead
(same machine) or when it was not touched for `STALE_SECONDS` (another one). Who would remove a
stale lock lays a claim on it first: a second lock, named for the content of the stale one. So
there is one claim on each, and no live lock is ever taken for the dead one in whose place it is.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saco_data.model.errors import LockHeld
from saco_data.storage import untrusted_json
from saco_data.storage.files import explained

TOUCH_SECONDS = 30.0
STALE_SECONDS = 900.0
# How long a lock file is respected that was read and says nothing.
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
        self._content = b""

    def __enter__(self) -> Lock:
        self._mine = {
            "host": socket.gethostname(),
            "machine": _machine(),
            "pid": os.getpid(),
            "started": _started(os.getpid()),
            "boot": _boot(),
            "processes": _processes(),
            # No two locks are the same, not even of one process.
            "token": os.urandom(8).hex(),
        }
        self._content = json.dumps(self._mine).encode()
        with explained(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self._take(self.path):
                # It may be given up while we look.
                with contextlib.suppress(FileNotFoundError):
                    self._remove_stale()
                if not self._take(self.path):
                    raise self._held()
        threading.Thread(target=self._touch, name="lock", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        with contextlib.suppress(OSError):
            if self.path.read_bytes() == self._content:
                self.path.unlink()

    def _take(self, path: Path) -> bool:
        mine = self._private()
        mine.write_bytes(self._content)
        try:
            os.link(mine, path)
        except FileExistsError:
            # Over NFS the answer to a successful call may get lost, and the repeated call fails.
            return mine.stat().st_nlink == 2
        except OSError:
            # No hard links here: exclusive creation is the next best thing.
            try:
                with path.open("xb") as file:
                    file.write(self._content)
            except FileExistsError:
                return False
        finally:
            mine.unlink(missing_ok=True)
        return True

    def _remove_stale(self) -> None:
        stale = self._stale(self.path)
        claim, left = self._claim(stale), []
        while not self._take(claim):
            # Its maker was killed at it: claim the claim. Or is at it this very moment.
            left.append(claim)
            claim = self._claim(self._stale(claim))
        try:
            # Someone may have taken it over while we looked.
            if self._stale(self.path) != stale:
                raise self._held()
            self.path.unlink(missing_ok=True)
            # Not before: while the stale lock is there, they keep others from it.
            for each in left:
                each.unlink(missing_ok=True)
        finally:
            claim.unlink(missing_ok=True)

    def _claim(self, content: bytes) -> Path:
        """The place of the claim on what holds this."""
        return self.path.with_name(f"lock.takeover.{hashlib.sha256(content).hexdigest()[:32]}")

    def _stale(self, path: Path) -> bytes:
        """What a stale lock holds. Raises LockHeld for one that is not, FileNotFoundError."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError:
            # Another user's, or the file system is in trouble: its holder may well be alive.
            content = b""
            alive = self._age(path) < STALE_SECONDS
        else:
            alive = self._alive(path, content)
        if alive:
            raise self._held()
        return content

    def _alive(self, path: Path, content: bytes) -> bool:
        holder = _parsed(content)
        if holder is None:
            # Being written, or cut off by a power failure.
            return self._age(path) < BRIEF_SECONDS
        mine = self._mine
        rebooted = holder.get("boot") != mine["boot"]
        here = all(holder.get(name) == mine[name] for name in ("host", "machine", "processes"))
        if not here or (rebooted and not mine["machine"]):
            # Its process cannot be seen from here.
            return self._age(path) < STALE_SECONDS
        if rebooted:
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
        finally:
            mine.unlink(missing_ok=True)

    def _private(self) -> Path:
        return self.path.with_name(f".lock.{self._mine['token']}.{threading.get_ident()}")

    def _held(self) -> LockHeld:
        try:
            holder = _parsed(self.path.read_bytes()) or {}
            who = f"host {holder.get('host')}, process {holder.get('pid')}"
        except OSError as error:
            who = f"whose lock cannot be read: {error.strerror}"
        return LockHeld(
            f"another run is at work here ({who})",
            item=str(self.path),
            remedy="Wait for it, or stop it; a lock whose process is dead is taken over by itself",
        )

    def _touch(self) -> None:
        while not self._done.wait(TOUCH_SECONDS):
            try:
                mine = self.path.read_bytes() == self._content
                if mine:
                    os.utime(self.path)
            except OSError:
                # Gone, or not to be read just now: the next time tells.
                continue
            if not mine and not self._done.is_set():
                if self.on_lost:
                    self.on_lost()
                return


def _parsed(content: bytes) -> dict[str, Any] | None:
    try:
        parsed = untrusted_json.parse(content)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _machine() -> str:
    """What tells machines of one name apart; "" where they do not say."""
    try:
        text = Path("/etc/machine-id").read_text().strip()
    except (OSError, ValueError):
        return ""
    # An image that was not started yet holds "uninitialized".
    return text if re.fullmatch("[0-9a-f]{32}", text) else ""


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
