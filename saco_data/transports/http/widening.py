"""How many connections to one file make it faster, found by trying."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LARGE = 1 << 25  # bytes still to come for which more connections are tried
_SETTLE, _MEASURE = 0.15, 0.35  # seconds
_RETRY = 3.0  # seconds until more connections are tried again; doubles each time
_WORTH = 1.3  # four times the connections must bring so many times the bytes


class Widening:
    """The number of connections: `wanted` in all, at most `most`. `received`: bytes so far."""

    def __init__(self, most: int) -> None:
        self.wanted = 1
        self.received = 0
        self._most = most
        self._is_searching = False

    async def search(self, left: Callable[[], int], connect: Callable[[], None]) -> None:
        """Uses four times the connections for as long as that makes the file come faster.

        `left`: bytes still to come, 0 where no more connections can be used; `connect` starts those
        that `wanted` asks for.
        """
        if self._is_searching:
            return
        self._is_searching = True
        try:
            await self._search(left, connect)
        finally:
            self._is_searching = False

    async def _search(self, left: Callable[[], int], connect: Callable[[], None]) -> None:
        rate, pause = await self._rate(), _RETRY
        while self.wanted < self._most:
            if left() < max(LARGE, 2 * rate):
                return
            before, self.wanted = self.wanted, min(self._most, 4 * self.wanted)
            connect()
            faster = await self._rate()
            if faster >= rate * _WORTH:
                rate = faster
                continue
            self.wanted = min(before, self.wanted)
            # One slow moment of a busy machine or line must not decide for a whole archive.
            await asyncio.sleep(pause)
            pause *= 2
            rate = await self._rate()

    async def _rate(self) -> float:
        """Bytes a second, measured once the connections have reached their speed."""
        await asyncio.sleep(_SETTLE)
        since, before = time.monotonic(), self.received
        await asyncio.sleep(_MEASURE)
        return (self.received - before) / (time.monotonic() - since)
