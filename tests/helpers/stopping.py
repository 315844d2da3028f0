"""Stops work in the middle, at a moment that is seen and not guessed."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any


def stop_when(is_under_way: Callable[[], bool]) -> threading.Event:
    """An event that is set as soon as `is_under_way`.

    Let the work last for hours if it is not stopped: then a test that ends has seen the stop.
    """
    stop = threading.Event()

    def watch() -> None:
        while not is_under_way():
            time.sleep(0.01)
        stop.set()

    threading.Thread(target=watch, daemon=True).start()
    return stop


def die_at(point: int) -> None:
    """Kills this process at its n-th change to the file system, as a power failure would."""
    left = [point]
    changes = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.truncate"}

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        if event in changes or writes:
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= 1

    sys.addaudithook(audit)
