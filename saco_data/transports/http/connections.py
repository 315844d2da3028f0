"""The ranges of one file that connections fetch, and how many connections make it faster."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from saco_data.transports.base import Policy
from saco_data.transports.http.part import Part
from saco_data.transports.http.spans import first_gap, join, total

LARGE = 1 << 25  # bytes still to come for which more connections are tried
_LONGEST_RANGE = 1 << 24  # bytes, where several connections share a file
_SHORTEST_RANGE = 1 << 21
_SETTLE, _MEASURE = 0.15, 0.35  # seconds
_RETRY = 3.0  # seconds until more connections are tried again; doubles each time
_WORTH = 1.3  # twice the connections must bring so many times the bytes


@dataclass(slots=True, eq=False)
class Claim:
    """A range that one connection fills. `start` moves on; `held` bytes after it are in memory."""

    start: int
    stop: int | None  # None: the end of the file; may be lowered
    held: int = 0


class Connections:
    """How many connections fetch one file, and who fetches which range; lives in the event loop.

    `wanted`: connections in all; `extra`: the tasks of those beside the first one. `received`:
    bytes so far. `seekable`: the server honours ranges.
    """

    def __init__(self, part: Part, policy: Policy) -> None:
        self.part = part
        self.claims: list[Claim] = []
        self.wanted = 1
        self.extra: set[asyncio.Task[None]] = set()
        self.received = 0
        self.seekable = False
        self._most = min(policy.connections_per_file, policy.concurrency)

    def next_claim(self) -> Claim | None:
        """The next range to fetch, which is not claimed yet; None if there is none."""
        spans, size = self.part.spans, self.part.version.size
        for claim in self.claims:
            stop = claim.stop if claim.stop is not None else sys.maxsize
            if stop > claim.start:
                spans = join(spans, (claim.start, stop))
        gap = first_gap(spans, size)
        if gap is None or gap[0] >= sys.maxsize:
            return None
        start, stop_ = gap
        if self.wanted > 1 and stop_ is not None and size is not None:
            share = (size - total(self.part.spans)) // (2 * self.wanted)
            stop_ = min(stop_, start + max(_SHORTEST_RANGE, min(_LONGEST_RANGE, share)))
        return Claim(start, stop_)

    async def widen(self, size: int, connect: Callable[[], asyncio.Task[None]]) -> None:
        """Doubles the connections for as long as that makes the download faster.

        `size`: bytes of the file; `connect` starts one more connection.
        """
        rate, pause = await self._rate(), _RETRY
        while self.wanted < self._most and self.seekable:
            left = size - total(self.part.spans)
            if left < LARGE or left < 2 * rate:
                return
            before, self.wanted = self.wanted, min(self._most, 2 * self.wanted)
            for claim in self.claims:
                if claim.stop is not None:
                    claim.stop = min(claim.stop, claim.start + claim.held + _LONGEST_RANGE)
            while len(self.extra) + 1 < self.wanted:
                task = connect()
                self.extra.add(task)
                task.add_done_callback(self.extra.discard)
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
