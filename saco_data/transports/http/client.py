"""The transport as others see it: plain calls and generators over a loop in a thread."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from yarl import URL

from saco_data.model.reasons import Reason
from saco_data.transports.base import Stopped
from saco_data.transports.http.circuit_breaker import Tries
from saco_data.transports.http.download import Download
from saco_data.transports.http.outcome import Trouble, address
from saco_data.transports.http.range_reader import RemoteFile, unless_stopped
from saco_data.transports.http.session import Session
from saco_data.transports.http.types import HttpFailure, Policy, Reply, Request

T = TypeVar("T")
_FAR = 200  # requests; further on, a host that refuses may serve


class Http:
    """One source over HTTP; a context manager, usable from any thread.

    Turns, pauses and the circuit breaker are shared by everything that one instance does.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="saco-http", daemon=True
        )
        self._session: Session | None = None

    def __enter__(self) -> Self:
        async def start() -> Session:
            return Session(self.policy)

        self._thread.start()
        try:
            self._session = self._call(start())
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        async def stop(session: Session) -> None:
            await cancelled(asyncio.all_tasks() - {asyncio.current_task()})
            await session.close()

        if self._session is not None:
            self._call(stop(self._session))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def fetch(
        self, requests: Iterable[Request], stop: threading.Event | None = None
    ) -> Iterator[Reply]:
        """Fetches files; replies come as they complete.

        `requests` is drawn upon as room appears: at most `policy.concurrency` files are under way
        or waiting to be taken, so a slow consumer bounds the disk. Only where a host refuses from
        the beginning, what lies further on is tried before the source closes. Closing the generator
        cancels what is under way, and so does `stop`; parts stay for the next time. Raises Blocked
        when the source closes, after the replies of what had completed; DiskFull and OutputError
        likewise.
        """
        ready: queue.SimpleQueue[asyncio.Task[Reply]] = queue.SimpleQueue()
        tasks: set[asyncio.Task[Reply]] = set()  # belongs to the loop
        session, source = self._ready(), iter(requests)
        stop = stop or threading.Event()

        def start(request: Request) -> None:
            task = self._loop.create_task(Download(session, request).run())
            tasks.add(task)
            task.add_done_callback(ended)

        def ended(task: asyncio.Task[Reply]) -> None:
            tasks.discard(task)
            ready.put(task)

        under_way, drawn, doubted = 0, False, False
        try:
            while True:
                if session.limits.doubtful and not doubted:
                    ahead = list(itertools.islice(source, _FAR))
                    source, doubted = itertools.chain(reversed(ahead), source), True
                while not drawn and under_way < self.policy.concurrency:
                    request = next(source, None)
                    if request is None:
                        drawn = True
                    else:
                        self._loop.call_soon_threadsafe(start, request)
                        under_way += 1
                if not under_way:
                    return
                task = unless_stopped(ready, stop)
                under_way -= 1
                if (error := task.exception()) is not None:
                    self._stop(tasks)
                    while not ready.empty():
                        late = ready.get()
                        if not late.cancelled() and late.exception() is None:
                            yield late.result()
                    raise error
                yield task.result()
        except Stopped:
            return
        finally:
            self._stop(tasks)

    def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, limit_bytes: int = 64 << 20
    ) -> bytes:
        """A document, whole.

        Raises HttpFailure (its `reason` says why, HTTP_404 included), or Blocked where access is
        refused or the source is closed.
        """
        return self._call(self._get(_address(url), headers or {}, limit_bytes))

    def open(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        stop: threading.Event | None = None,
    ) -> RemoteFile:
        """A file to be read in place. Raises as `get` does, Stopped when `stop` is set."""
        stop = stop or threading.Event()
        file = RemoteFile(self._ready(), self._loop, _address(url), headers or {}, stop)
        ready: queue.SimpleQueue[Future[None]] = queue.SimpleQueue()
        looking = asyncio.run_coroutine_threadsafe(file.look(), self._loop)
        looking.add_done_callback(ready.put)
        try:
            unless_stopped(ready, stop).result()
        finally:
            looking.cancel()
        return file

    async def _get(self, url: URL, headers: Mapping[str, str], limit: int) -> bytes:
        session = self._ready()
        tries = Tries(session.limits)
        while True:
            try:
                async with session.ask(url, headers) as body:
                    pieces, size = [], 0
                    async for piece in body.pieces(self.policy.stall_timeout):
                        pieces.append(piece)
                        size += len(piece)
                        if size > limit:
                            raise Trouble(Reason.HTTP_ERROR, f"more than {limit:,} bytes")
                    return b"".join(pieces)
            except Trouble as trouble:
                await tries.after_or_raise(trouble, url)

    def _ready(self) -> Session:
        if self._session is None:
            raise RuntimeError("Http is a context manager: use it in a with statement")
        return self._session

    def _stop(self, tasks: set[asyncio.Task[Reply]]) -> None:
        # The loop is gone when a forgotten generator is collected after the end.
        if self._loop.is_running():
            self._call(cancelled(tasks))

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def _address(text: str) -> URL:
    try:
        return address(text)
    except Trouble as trouble:
        raise HttpFailure(trouble.detail, item="", reason=trouble.reason) from None


async def cancelled(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancels tasks and waits until they have put their things in order."""
    waited = [task for task in tasks if task is not None]
    for task in waited:
        task.cancel()
    await asyncio.gather(*waited, return_exceptions=True)
