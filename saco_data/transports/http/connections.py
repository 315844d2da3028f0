"""The ranges of one file that connections fetch, and how many connections make it faster."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from dataclasses import dataclass

from saco_data.transports.base import Policy
from saco_data.transports.http.part import Part
from saco_data.transports.http.spans import first_gap, join, total
from saco_data.transports.http.widening import Widening

_LONGEST_RANGE = 1 << 24  # bytes, where several connections share a file
_SHORTEST_RANGE = 1 << 21


@dataclass(slots=True, eq=False)
class Claim:
    """A range that one connection fills. `start` moves on; `held` bytes after it are in memory."""

    start: int
    stop: int | None  # None: the end of the file; may be lowered
    held: int = 0


class Connections(Widening):
    """How many connections fetch one file, and who fetches which range; lives in the event loop.

    `extra`: the tasks of the connections beside the first one. `seekable`: the server honours
    ranges.
    """

    def __init__(self, part: Part, policy: Policy) -> None:
        super().__init__(min(policy.connections_per_file, policy.concurrency))
        self.part = part
        self.claims: list[Claim] = []
        self.extra: set[asyncio.Task[None]] = set()
        self.seekable = False

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
        """Uses more connections for as long as that makes the download faster.

        `size`: bytes of the file; `connect` starts one more connection.
        """

        def widen() -> None:
            for claim in self.claims:
                if claim.stop is not None:
                    claim.stop = min(claim.stop, claim.start + claim.held + _LONGEST_RANGE)
            while len(self.extra) + 1 < self.wanted:
                task = connect()
                self.extra.add(task)
                task.add_done_callback(self.extra.discard)

        def left() -> int:
            return size - total(self.part.spans) if self.seekable else 0

        await self.search(left, widen)
