"""Which of the 32 KiB before a deflate block a member really derives from: usually a few dozen."""

from __future__ import annotations

import numpy as np

from saco_data.transports.archive.seekpoint import WINDOW
from saco_data.transports.seek_index.entering import DAMAGE, fill_window, inflate

_POSITIONS = np.arange(WINDOW)
# Three windows: a byte of output that derives from position p is p % 256, p // 256, 255 - p % 256.
_LOW = (_POSITIONS % 256).astype(np.uint8).tobytes()
_HIGH = (_POSITIONS // 256).astype(np.uint8).tobytes()
_INVERTED = (255 - _POSITIONS % 256).astype(np.uint8).tobytes()


def find_needed(
    data: bytes, bit: int, window: bytes, skip: int, expected: bytes
) -> tuple[dict[int, str], int] | None:
    """The bytes of `window` that are needed, in runs of hex digits by position, and bytes of data.

    `window`: the last 32 KiB of output before bit `bit` of `data`, or less at the beginning.
    `expected`: the output after the first `skip` bytes. None where it cannot be had that way.
    """
    length = skip + len(expected)
    full = window.rjust(WINDOW, b"\0")
    try:
        output, used = inflate(data, bit, bytes(WINDOW), length)
        runs: dict[int, str] = {}
        if output[skip:] != expected:
            low, high, inverted = (
                np.frombuffer(inflate(data, bit, made, length)[0], np.uint8)[skip:]
                for made in (_LOW, _HIGH, _INVERTED)
            )
            derived = low != inverted
            runs = _runs(np.unique(low[derived] + 256 * high[derived].astype(np.intp)), full)
        # What is not derived from these bytes comes from the archive alone.
        again, _ = inflate(data[:used], bit, fill_window(runs), length)
    except DAMAGE:
        return None
    return (runs, used) if again[skip:] == expected else None


def _runs(positions: np.ndarray, window: bytes) -> dict[int, str]:
    breaks = np.flatnonzero(np.diff(positions) != 1) + 1
    return {
        int(each[0]): window[each[0] : each[-1] + 1].hex()
        for each in np.split(positions, breaks)
        if len(each)
    }
