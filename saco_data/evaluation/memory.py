"""How memory is handled while millions of small objects are made and none is part of a cycle."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Iterator

# Of glibc's malloc.h: how much freed memory is given back, how much is asked for at a time, and
# how many large blocks are mapped apart, to be given back one by one.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_KEEP_ALL = ((_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 64 << 20), (_MMAP_MAX, 0))
_USUAL = ((_TRIM_THRESHOLD, 128 << 10), (_TOP_PAD, 128 << 10), (_MMAP_MAX, 65_536))


@contextlib.contextmanager
def steady() -> Iterator[None]:
    """Nothing is collected, and freed memory is used again, within the `with` block.

    Both save processor time alone: the collector would look at all objects again and again, and
    the system would clear each new page, that of a file's content, and then of its masks.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    _tell_malloc(_KEEP_ALL)
    try:
        yield
    finally:
        _tell_malloc(_USUAL)
        if was_enabled:
            gc.enable()


def _tell_malloc(settings: tuple[tuple[int, int], ...]) -> None:
    """Sets what glibc's malloc does; other systems have no such settings."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    for parameter, value in settings:
        if mallopt is not None:
            mallopt(parameter, value)
