"""A remote file read in place: what archives stream from and jump about in."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, suppress
from typing import TypeVar

from yarl import URL

from saco_data.model.reasons import Reason
from saco_data.transports.base import Stopped
from saco_data.transports.http.circuit_breaker import Tries
from saco_data.transports.http.outcome import Trouble, origin_of
from saco_data.transports.http.session import Session, Version

T = TypeVar("T")
_PIECE = 1 << 20
_AHEAD = 4  # pieces fetched before they are asked for
_GLANCE = 0.2  # seconds between two looks at the stop


def unless_stopped(ready: queue.SimpleQueue[T], stop: threading.Event) -> T:
    """The next of a queue. Raises Stopped as soon as the run is to end."""
    while not stop.is_set():
        with suppress(queue.Empty):
            return ready.get(timeout=_GLANCE)
    raise Stopped


class RemoteFile:
    """A file behind a URL; made by `Http.open`, good for as long as that is open.

    A `RangeReader`. Streams hold no turn at the host, so several may be open at once.
    """

    def __init__(
        self,
        session: Session,
        loop: asyncio.AbstractEventLoop,
        url: URL,
        headers: Mapping[str, str],
        stop: threading.Event,
    ) -> None:
        self._session = session
        self._loop = loop
        self._url = url
        self._headers = headers
        self._stop = stop
        self._version = Version()
        self._seekable = False

    @property
    def size(self) -> int | None:
        """Bytes in all; None when the server does not say."""
        return self._version.size

    @property
    def seekable(self) -> bool:
        """Whether its ranges can be had and trusted. If not, what is before `start` is read too."""
        return self._seekable

    @property
    def identity(self) -> str:
        """The strong ETag, else Last-Modified, of the file as opened; "" unknown."""
        return self._version.validator

    @property
    def origin(self) -> str:
        """The URL without query and user."""
        return origin_of(self._url)

    async def look(self) -> None:
        """Asks for the first byte. A HEAD would be refused by links signed for GET."""
        tries = Tries(self._session.limits)
        while True:
            try:
                async with self._session.ask(self._url, self._headers, stop=1) as body:
                    self._version = body.version
                    # What can neither be measured nor told from another is read in one go.
                    whole = body.version.size is not None and body.version.validator != ""
                    self._seekable = body.ranged and whole
                    return
            except Trouble as trouble:
                await tries.after_or_raise(trouble, self._url)

    def stream(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes `start` to `stop` (exclusive; None: the end), in pieces of at most 1 MiB.

        Runs up to 4 MiB ahead. A dropped connection is resumed where it broke. Raises FileChanged
        when the server has another version by now, HttpFailure or Blocked as `Http.get` does,
        Stopped when the run is to end.
        """
        ready: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        room = asyncio.Semaphore(_AHEAD)

        async def pump() -> None:
            try:
                async with aclosing(self._read(start, stop)) as pieces:
                    async for piece in pieces:
                        await room.acquire()
                        ready.put(piece)
            except Exception as error:
                ready.put(error)
            else:
                ready.put(None)

        async def halt() -> None:
            task.cancel()
            await asyncio.wait([task])

        async def begin() -> asyncio.Task[None]:
            return asyncio.create_task(pump())

        task = asyncio.run_coroutine_threadsafe(begin(), self._loop).result()
        try:
            while (piece := unless_stopped(ready, self._stop)) is not None:
                if isinstance(piece, Exception):
                    raise piece
                self._loop.call_soon_threadsafe(room.release)
                yield piece
        finally:
            if self._loop.is_running():
                asyncio.run_coroutine_threadsafe(halt(), self._loop).result()

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`; fewer only at the end of the file. Raises as `stream`."""
        return b"".join(self.stream(start, start + length))

    async def _read(self, place: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        size = self._version.size
        if size is not None:
            stop = size if stop is None else min(stop, size)
        tries = Tries(self._session.limits)
        held: list[bytes] = []
        holds = 0
        while stop is None or place + holds < stop:
            trouble = None
            try:
                async with self._session.ask(
                    self._url,
                    self._headers,
                    start=place,
                    stop=None if stop == size else stop,
                    known=self._version,
                    sure=place > 0 or self.identity != "",
                    hold=False,
                ) as body:
                    skip = place - body.start
                    async for piece in body.pieces(self._session.policy.stall_timeout):
                        if skip:
                            piece, skip = piece[skip:], max(0, skip - len(piece))
                        if stop is not None and place + holds + len(piece) > stop:
                            piece = piece[: stop - place - holds]
                        if held and holds + len(piece) > _PIECE:
                            tries.progress(holds)
                            place += holds
                            yield b"".join(held)
                            held, holds = [], 0
                        held.append(piece)
                        holds += len(piece)
                        if stop is not None and place + holds >= stop:
                            break
                    if stop is not None and place + holds < stop:
                        raise Trouble(Reason.SHORT_BODY, "the body was cut short", transient=True)
            except Trouble as error:
                trouble = error
            if held:
                place += holds
                yield b"".join(held)
                held, holds = [], 0
            if trouble is None:
                return
            await tries.after_or_raise(trouble, self._url)
