"""Waiting for what another process or thread does."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(is_so: Callable[[], object], seconds: float = 300.0) -> None:
    """Returns as soon as something is so; raises TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() >= deadline:
            raise TimeoutError(f"not so within {seconds:g} s")
        time.sleep(0.02)
