"""One run at a time on a `silver_path`, also on network file systems.

The lock is a file created by `link`, which is atomic on NFS where flock is unreliable. It names its
holder (host, machine, process, boot), who touches it regularly. It is stale when its process has
ended (same machine) or when it was not touched for `STALE_SECONDS` (another machine).

Removing a stale lock needs a claim: a second lock, named after the content of the stale one. Only
one process gets the claim, and a new lock has other content, so it is never removed by mistake.

`filelock.SoftFileLease` would lose two things: it takes two machines with the same host name for
one, and it must itself watch a foreign lock for the whole lease, so that a run would wait 15
minutes for a machine that has been off for days.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from saco_data.model.errors import LockHeld
from saco_data.state import identity
from saco_data.storage import untrusted_json
from saco_data.storage.disk_errors import explain_errors

TOUCH_SECONDS = 30.0
STALE_SECONDS = 900.0
# A lock file without valid content counts as being written for so long.
INCOMPLETE_SECONDS = 20.0


class Lock:
    """Holds `<folder>/lock` within the context. Raises LockHeld when another run has it.

    `on_lost` is called, from another thread, when another run has taken the lock: this machine
    was suspended for longer than `STALE_SECONDS`.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        self.on_lost: Callable[[], None] | None = None
        self._released = threading.Event()
        self._holder: dict[str, Any] = {}
        self._content = b""

    def __enter__(self) -> Lock:
        # The token makes every lock unique, also among those of one process.
        self._holder = {**identity.describe_this_process(), "token": os.urandom(8).hex()}
        self._content = json.dumps(self._holder).encode()
        with explain_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self._create(self.path):
                # FileNotFoundError: its holder has just released it.
                with contextlib.suppress(FileNotFoundError):
                    self._remove_stale()
                if not self._create(self.path):
                    raise self._held_error()
        threading.Thread(target=self._keep_touching, name="lock", daemon=True).start()
        self._sweep()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        with contextlib.suppress(OSError):
            if self.path.read_bytes() == self._content:
                self.path.unlink()

    def _create(self, path: Path) -> bool:
        """Creates a lock file with our content; returns whether it did not exist before."""
        private = self._private_path()
        private.write_bytes(self._content)
        try:
            os.link(private, path)
        except FileExistsError:
            # NFS may lose the answer to a successful call, and its repetition fails.
            return private.stat().st_nlink == 2
        except OSError:
            # No hard links on this file system: exclusive creation is the next best thing.
            try:
                with path.open("xb") as file:
                    file.write(self._content)
            except FileExistsError:
                return False
        finally:
            private.unlink(missing_ok=True)
        return True

    def _remove_stale(self) -> None:
        """Removes the lock if it is stale. Raises LockHeld if it, or a claim on it, is not."""
        stale = self._read_stale(self.path)
        claim, earlier_claims = self._claim_path(stale), []
        while not self._create(claim):
            # The process that made this claim was killed, or is removing the lock just now.
            earlier_claims.append(claim)
            claim = self._claim_path(self._read_stale(claim))
        try:
            # Another process may have replaced the lock in the meantime.
            if self._read_stale(self.path) != stale:
                raise self._held_error()
            self.path.unlink(missing_ok=True)
            # In this order: while the stale lock exists, these claims keep others away from it.
            for each in earlier_claims:
                each.unlink(missing_ok=True)
        finally:
            claim.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Removes private files and claims of processes that have ended; needs the lock.

        A claim is not needed once its stale lock is gone: it is about that one lock alone.
        """
        with contextlib.suppress(OSError):
            for pattern in (".lock.*", "lock.takeover.*"):
                for path in self.path.parent.glob(pattern):
                    with contextlib.suppress(OSError):
                        if not self._is_held(path, path.read_bytes()):
                            path.unlink()

    def _claim_path(self, content: bytes) -> Path:
        """The path of the claim on a lock or claim with this content."""
        return self.path.with_name(f"lock.takeover.{hashlib.sha256(content).hexdigest()[:32]}")

    def _read_stale(self, path: Path) -> bytes:
        """The content of a stale lock or claim. Raises LockHeld if it is not stale."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise
        except OSError:
            # Not readable for this user, or the file system has trouble: the holder may be alive.
            content = b""
            is_held = self._age_of(path) < STALE_SECONDS
        else:
            is_held = self._is_held(path, content)
        if is_held:
            raise self._held_error()
        return content

    def _is_held(self, path: Path, content: bytes) -> bool:
        holder = _parse(content)
        if holder is None:
            # It is being written, or was cut off by a power failure.
            return self._age_of(path) < INCOMPLETE_SECONDS
        ours = self._holder
        is_other_boot = holder.get("boot") != ours["boot"]
        is_here = all(holder.get(name) == ours[name] for name in ("host", "machine", "processes"))
        if not is_here or (is_other_boot and not ours["machine"]):
            # Its process is not visible from here.
            return self._age_of(path) < STALE_SECONDS
        if is_other_boot:
            return False
        pid = holder.get("pid")
        # A process number may be in use again; the start time identifies the process.
        return isinstance(pid, int) and holder.get("started") == identity.start_time_of(pid) != ""

    def _age_of(self, path: Path) -> float:
        """Seconds since a file was touched, by the clock of the file system that holds it."""
        private = self._private_path()
        try:
            private.touch()
            return private.stat().st_mtime - path.stat().st_mtime
        finally:
            private.unlink(missing_ok=True)

    def _private_path(self) -> Path:
        return self.path.with_name(f".lock.{self._holder['token']}.{threading.get_ident()}")

    def _held_error(self) -> LockHeld:
        try:
            holder = _parse(self.path.read_bytes()) or {}
            who = f"host {holder.get('host')}, process {holder.get('pid')}"
        except OSError as error:
            who = f"whose lock cannot be read: {error.strerror}"
        return LockHeld(
            f"another run is at work here ({who})",
            item=str(self.path),
            remedy="Wait for it, or stop it; a lock whose process is dead is taken over by itself",
        )

    def _keep_touching(self) -> None:
        while not self._released.wait(TOUCH_SECONDS):
            try:
                is_ours = self.path.read_bytes() == self._content
                if is_ours:
                    os.utime(self.path)
            except OSError:
                # Missing or not readable at the moment: look again next time.
                continue
            if not is_ours and not self._released.is_set():
                if self.on_lost:
                    self.on_lost()
                return


def _parse(content: bytes) -> dict[str, Any] | None:
    """The holder that a lock file names; None if the file is not complete."""
    try:
        parsed = untrusted_json.parse(content)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None
