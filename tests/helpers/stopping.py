"""Stops work in the middle, at a moment that is seen and not guessed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


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
