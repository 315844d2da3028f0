"""How memory is handled while millions of small objects are made and none is part of a cycle."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

import numpy as np

_KEPT = 31 << 20  # bytes: the largest block that glibc's malloc learns from


@contextlib.contextmanager
def steady() -> Iterator[None]:
    """Nothing is collected, and freed arrays are used again, within the `with` block.

    Both save processor time alone: the collector would look at all objects again and again, and
    the system would clear each new array.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    # Once a block of this size is freed, malloc keeps freed memory instead of giving it back.
    np.empty(_KEPT, np.uint8)
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
