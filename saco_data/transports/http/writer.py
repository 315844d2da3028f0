"""Writes the bodies of answers into the part of a file, and computes digests behind that."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from dataclasses import replace

from saco_data.model.reasons import Reason
from saco_data.transports.http.connections import Claim
from saco_data.transports.http.content import Digests
from saco_data.transports.http.failure import RequestFailure
from saco_data.transports.http.part import Part
from saco_data.transports.http.retries import Retries
from saco_data.transports.http.session import Session
from saco_data.transports.http.spans import Span, join

_BATCH = 1 << 20  # bytes written at once
_HASHED = 1 << 25  # bytes hashed at once: a cancelled download waits for them
_TICK = 0.1  # seconds between two looks at what has arrived
_SAVE = 0.5  # seconds between two notes


class Writer:
    """Fills the part of one file; lives in the event loop, works in the session's threads."""

    def __init__(self, session: Session, part: Part, digests: Digests, retries: Retries) -> None:
        self.session = session
        self.part = part
        self.digests = digests
        self.retries = retries

    async def prepare(self) -> None:
        """Opens the part. Raises DiskFull where the file cannot fit."""
        size = self.part.version.size
        await self.session.on_disk(self.part.open)
        if size is not None:
            await self.session.on_disk(lambda: self.part.reserve(size))

    async def store(self, claim: Claim, pieces: AsyncIterator[bytes], skip: int) -> None:
        """Writes a body into the range of `claim`, leaving out its first `skip` bytes.

        Bytes that arrive before an error are kept. Raises RequestFailure for a body that is too
        short.
        """
        batch: list[bytes] = []
        is_full = False
        try:
            async for piece in pieces:
                if skip:
                    piece, skip = piece[skip:], max(0, skip - len(piece))
                if claim.stop is not None:
                    room = max(0, claim.stop - claim.start - claim.held)
                    is_full = len(piece) > room
                    piece = piece[:room]
                batch.append(piece)
                claim.held += len(piece)
                if claim.held >= _BATCH:
                    batch, full_batch = [], batch
                    await self._write(claim, full_batch)
                if is_full:
                    break
        finally:
            await self._write(claim, batch)
        if claim.stop is None:
            claim.stop = claim.start
            self.part.version = replace(self.part.version, size=claim.start)
        elif claim.start < claim.stop:
            raise RequestFailure("the body was cut short", reason=Reason.SHORT_BODY, transient=True)

    async def follow(self) -> None:
        """Saves the note and computes digests while the file arrives; runs until cancelled."""
        saved: list[Span] = []
        since = -math.inf  # the first note at once: what was held in memory may be most of the file
        while True:
            await asyncio.sleep(_TICK)
            await self._hash_step(self.part.front)
            spans = self.part.spans
            if spans != saved and time.monotonic() - since >= _SAVE:
                await self.session.on_disk(lambda spans=spans: self.part.save(spans))  # type: ignore[misc]
                saved, since = spans, time.monotonic()

    async def hash(self, stop: int) -> None:
        """Brings the digests up to byte `stop`."""
        while self.digests.position < stop:
            await self._hash_step(stop)

    async def _hash_step(self, stop: int) -> None:
        step = min(stop, self.digests.position + _HASHED)
        if self.digests.position < step:
            file = self.part.open()
            await self.session.on_disk(lambda: self.digests.follow(file, step))

    async def _write(self, claim: Claim, pieces: list[bytes]) -> None:
        count, start = claim.held, claim.start
        if count:
            await self.session.on_disk(lambda: self.part.write(pieces, start))
            self.part.spans = join(self.part.spans, (start, start + count))
            claim.start, claim.held = start + count, 0
            self.retries.record_progress(count)
