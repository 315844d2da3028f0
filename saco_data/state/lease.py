"""One run at a time on a store, as far as possible: a lease saves double work.

Correctness never leans on it: who was suspended beyond its time may still write, and what is
written is put once or replaced only over what is known. No clocks are compared: another run takes
the lease when its object has not changed for its whole time on that run's own clock, or at once
when its holder was a process of this machine that has ended.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from typing import Any

from saco_data.model.errors import Incomplete, LockHeld, SacoError
from saco_data.state import identity
from saco_data.storage import untrusted_json
from saco_data.storage.store import Changed, Exists, Stamp, Store

NAME = ".saco/lease"
SECONDS = 90.0


class Lease:
    """Holds the lease of a store within the context. Raises LockHeld when another run has it.

    `seconds`: how long it lasts unless it is renewed, which happens at a third of that time. To
    see whether another's lease is still renewed takes as long. `on_lost` is called, from another
    thread, when another run has taken it.
    """

    def __init__(self, store: Store, seconds: float = SECONDS) -> None:
        self.store, self.seconds = store, seconds
        self.on_lost: Callable[[], None] | None = None
        self._stamp: Stamp | None = None
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def __enter__(self) -> Lease:
        try:
            self._stamp = self.store.put(NAME, self._content(), only_new=True)
        except Exists:
            self._stamp = self._take_over()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._thread.join()
        try:
            if self._stamp is not None and self.store.stat(NAME) == self._stamp:
                self.store.delete([NAME])
        except SacoError:
            pass  # it runs out by itself

    def _content(self) -> bytes:
        # The nonce makes every version another one: the tag of an object is its digest.
        holder = {**identity.describe_this_process(), "nonce": os.urandom(8).hex()}
        return json.dumps(holder).encode()

    def _take_over(self) -> Stamp:
        """Waits for a whole lease; takes it if its holder did not renew it. Raises LockHeld."""
        seen = self.store.stat(NAME)
        end = time.monotonic() + self.seconds
        while seen is not None and time.monotonic() < end and not _has_ended(self._read_holder()):
            time.sleep(min(1.0, self.seconds / 10))
            if self.store.stat(NAME) != seen:
                break
        try:
            now = self.store.stat(NAME)
            if now is None:
                return self.store.put(NAME, self._content(), only_new=True)
            if now == seen:
                return self.store.replace(NAME, self._content(), seen)
        except (Exists, Changed):
            pass
        holder = self._read_holder()
        raise LockHeld(
            f"another run is at work there (host {holder.get('host')}, process "
            f"{holder.get('pid')})",
            item=self.store.place,
            remedy="Wait for it, or stop it; the lease of a dead run is taken over by itself",
        )

    def _read_holder(self) -> dict[str, Any]:
        try:
            holder = untrusted_json.parse(self.store.read(NAME))
        except (ValueError, FileNotFoundError):
            return {}
        return holder if isinstance(holder, dict) else {}

    def _renew(self) -> None:
        while not self._released.wait(self.seconds / 3):
            assert self._stamp is not None
            try:
                self._stamp = self.store.replace(NAME, self._content(), self._stamp)
            except Incomplete:
                continue  # the network: try again
            except (Changed, SacoError, OSError):
                if self.on_lost:
                    self.on_lost()
                return


def _has_ended(holder: dict[str, Any]) -> bool:
    """Whether a holder was a process of this machine, since it was started, that has ended."""
    here = identity.describe_this_process()
    if any(holder.get(each) != here[each] for each in ("host", "machine", "processes", "boot")):
        return False
    pid = holder.get("pid")
    return isinstance(pid, int) and holder.get("started") != identity.start_time_of(pid)
