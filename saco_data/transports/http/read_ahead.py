"""A stream of bytes that several connections bring, where that is faster than one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable

from saco_data.transports.http.widening import Widening

_CHUNK = 1 << 22  # bytes that one connection fetches, where several share the stream


class Chunk:
    """A range that one connection fetches: `at` moves on, `stop` may be lowered."""

    def __init__(self, start: int, stop: int) -> None:
        self.at = start
        self.stop = stop
        self.pieces: deque[bytes] = deque()
        self.held = 0  # bytes in `pieces`
        self.is_complete = False
        self.error: Exception | None = None


Read = Callable[[Chunk], AsyncGenerator[bytes, None]]


async def read_ahead(
    read: Read, start: int, stop: int, widening: Widening
) -> AsyncGenerator[bytes, None]:
    """The bytes from `start` to `stop` in order, by as many connections as make them faster.

    `read` gives the pieces of a chunk up to its `stop`, whatever that is by then. At most
    `widening.wanted` chunks are held in memory. Raises what `read` raises, where it happened.
    """
    stream = _Stream(read, start, stop, widening)
    stream.connect()
    search = asyncio.create_task(widening.search(stream.left, stream.connect))
    try:
        while (piece := await stream.next_piece()) is not None:
            yield piece
    finally:
        running = [search, *filter(None, stream.tasks)]
        for task in running:
            task.cancel()
        await asyncio.wait(running)


class _Stream:
    """The chunks that are under way, in order; the first of them is being taken."""

    def __init__(self, read: Read, start: int, stop: int, widening: Widening) -> None:
        self.tasks: set[asyncio.Task[None] | None] = set()
        self._read, self._widening = read, widening
        self._next, self._stop = start, stop  # the first byte that no chunk has, and the end
        self._chunks: deque[Chunk] = deque()
        self._changed = asyncio.Condition()

    def left(self) -> int:
        """Bytes that have not arrived."""
        return self._stop - (self._chunks[0].at if self._chunks else self._next)

    def connect(self) -> None:
        """Starts the connections that are wanted, and leaves something for them to fetch."""
        if self._chunks and self._widening.wanted > 1 and self._next == self._stop:
            last = self._chunks[-1]
            # What one connection was to bring alone is shared from here on.
            last.stop = self._next = min(last.stop, last.at + _CHUNK)
        while len(self.tasks) < self._widening.wanted:
            task = asyncio.create_task(self._work())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def next_piece(self) -> bytes | None:
        """The next piece; None at the end."""
        async with self._changed:
            while True:
                first = self._chunks[0] if self._chunks else None
                if first and first.pieces:
                    piece = first.pieces.popleft()
                    first.held -= len(piece)
                    self._changed.notify_all()
                    return piece
                if first and first.error:
                    raise first.error
                if first and first.is_complete:
                    self._chunks.popleft()
                    self._changed.notify_all()
                    continue
                if first is None and self._next >= self._stop:
                    return None
                await self._changed.wait()

    async def _work(self) -> None:
        """One connection: fetches chunk after chunk, until there are none or it is one too many."""
        while (chunk := await self._claim()) is not None:
            try:
                async for piece in self._read(chunk):
                    async with self._changed:
                        chunk.pieces.append(piece)
                        chunk.held += len(piece)
                        self._widening.received += len(piece)
                        self._changed.notify_all()
                        while chunk.held >= _CHUNK and chunk.at < chunk.stop:
                            await self._changed.wait()
            except Exception as error:
                chunk.error = error
            async with self._changed:
                chunk.is_complete = True
                self._changed.notify_all()
            if chunk.error or len(self.tasks) > self._widening.wanted:
                # Removed at once: the next connection to look must not leave as well.
                self.tasks -= {asyncio.current_task()}
                return

    async def _claim(self) -> Chunk | None:
        async with self._changed:
            while self._next < self._stop and len(self._chunks) >= self._widening.wanted:
                await self._changed.wait()
            if self._next >= self._stop:
                return None
            length = _CHUNK if self._widening.wanted > 1 else self._stop
            chunk = Chunk(self._next, min(self._stop, self._next + length))
            self._next = chunk.stop
            self._chunks.append(chunk)
            return chunk
