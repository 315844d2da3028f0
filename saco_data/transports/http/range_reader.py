"""A file on a web server that is read in place, by ranges, as archives are."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing, suppress
from typing import TypeVar

from yarl import URL

from saco_data.model.reasons import Reason
from saco_data.transports.base import Stopped
from saco_data.transports.http.addresses import origin_of
from saco_data.transports.http.failure import RequestFailure
from saco_data.transports.http.read_ahead import Chunk, read_ahead
from saco_data.transports.http.retries import Retries
from saco_data.transports.http.session import Session
from saco_data.transports.http.version import Version
from saco_data.transports.http.widening import LARGE, Widening

T = TypeVar("T")
_PIECE = 1 << 20
_AHEAD = 4  # pieces fetched before they are wanted
_POLL = 0.2  # seconds between two looks at the stop event


def unless_stopped(ready: queue.SimpleQueue[T], stop: threading.Event) -> T:
    """The next element of a queue. Raises Stopped once `stop` is set."""
    while not stop.is_set():
        with suppress(queue.Empty):
            return ready.get(timeout=_POLL)
    raise Stopped


class RemoteFile:
    """A RangeReader of a URL, made by `Http.open` and usable while that is open.

    Several streams may be open at once: they do not count as requests while they are read.
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
        policy = session.policy
        self._widening = Widening(min(policy.connections_per_file, policy.concurrency))
        self._wasted = 0  # bytes that came before those that were asked for
        self.facts: dict[str, str] = {}  # what the server says of the file, as in `Reply`

    @property
    def size(self) -> int | None:
        """Bytes in all; None when the server does not say."""
        return self._version.size

    @property
    def seekable(self) -> bool:
        """Whether ranges can be fetched and trusted. If not, all before `start` is read too."""
        return self._seekable

    @property
    def identity(self) -> str:
        """The strong ETag, else Last-Modified, of the file when it was opened; "" unknown."""
        return self._version.validator

    @property
    def origin(self) -> str:
        """The URL without query and user."""
        return origin_of(self._url)

    def read_in_one_stream(self) -> None:
        """From now on one request for the whole file is made, whichever version answers."""
        self._version = Version(size=self._version.size)
        self._seekable = False

    def require_version(self) -> None:
        """From now on the server is asked to refuse a range of another version of the file."""
        if self.identity.startswith('"'):
            self._headers = {**self._headers, "If-Match": self.identity}

    async def load_facts(self) -> None:
        """Learns size and version from the first byte: links signed for GET refuse a HEAD."""
        retries = Retries(self._session.breaker)
        while True:
            try:
                async with self._session.ask(self._url, self._headers, stop=1) as body:
                    self._version, self.facts = body.version, body.facts
                    # Without size and validator, ranges of two versions could be joined.
                    is_known = body.version.size is not None and body.version.validator != ""
                    self._seekable = body.ranged and is_known
                    return
            except RequestFailure as failure:
                await retries.wait_to_retry_or_report(failure, self._url)

    def stream(self, start: int = 0, stop: int | None = None) -> Generator[bytes, None, None]:
        """Bytes `start` to `stop` (exclusive; None: the end), in pieces of at most 1 MiB.

        Reads up to 8 MiB ahead, or 4 MiB for each connection where several bring a long stream
        faster than one. A broken connection is resumed where it broke. Raises FileChanged
        when the server has another version by now, Failure or Blocked as `Http.get` does, Stopped
        when the run is to end.
        """
        ready: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        room = asyncio.Semaphore(_AHEAD)

        async def pump() -> None:
            try:
                async with aclosing(self._pieces(start, stop)) as pieces:
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

    def _pieces(self, start: int, stop: int | None) -> AsyncGenerator[bytes, None]:
        size = self._version.size
        end = min(sys.maxsize if each is None else each for each in (size, stop))
        if self._seekable and end - start >= LARGE:
            return read_ahead(self._read, start, end, self._widening)
        return self._read(Chunk(start, end))

    async def _read(self, chunk: Chunk) -> AsyncGenerator[bytes, None]:
        """The bytes of a chunk in pieces of up to 1 MiB, over as many requests as needed."""
        size = self._version.size
        retries = Retries(self._session.breaker)
        held: list[bytes] = []
        held_bytes = 0
        while chunk.at < chunk.stop:
            failed = None
            try:
                async with self._session.ask(
                    self._url,
                    self._headers,
                    start=chunk.at,
                    stop=None if chunk.stop in (size, sys.maxsize) else chunk.stop,
                    known=self._version,
                    sure=chunk.at > 0 or self.identity != "",
                    hold=False,
                ) as body:
                    skip = chunk.at - body.start
                    self._wasted += skip if self._seekable else 0
                    if size is not None and self._wasted > size:
                        raise RequestFailure(
                            "the server sends the file from its beginning again and again",
                            reason=Reason.SERVER_ERROR,
                            restart=True,
                        )
                    async for piece in body.pieces(self._session.policy.stall_timeout):
                        if skip:
                            piece, skip = piece[skip:], max(0, skip - len(piece))
                        piece = piece[: max(0, chunk.stop - chunk.at)]
                        if held and held_bytes + len(piece) > _PIECE:
                            retries.record_progress(held_bytes)
                            yield b"".join(held)
                            held, held_bytes = [], 0
                        held.append(piece)
                        held_bytes += len(piece)
                        chunk.at += len(piece)
                        if chunk.at >= chunk.stop:
                            break
                    if chunk.at < chunk.stop < sys.maxsize:
                        raise RequestFailure(
                            "the body was cut short", reason=Reason.SHORT_BODY, transient=True
                        )
            except RequestFailure as failure:
                failed = failure
            if held:
                yield b"".join(held)
                held, held_bytes = [], 0
            if failed is None:
                return
            await retries.wait_to_retry_or_report(failed, self._url)
