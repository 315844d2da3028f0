"""The HTTP client: plain calls and generators over an event loop in a thread."""

from __future__ import annotations

import asyncio
import itertools
import queue
import threading
from collections.abc import Coroutine, Generator, Iterable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Self, TypeVar

from yarl import URL

from saco_data.model.reasons import Reason
from saco_data.transports.base import Failure, Policy, Reply, Request, Stopped
from saco_data.transports.http.download import Download
from saco_data.transports.http.failure import RequestFailure
from saco_data.transports.http.range_reader import RemoteFile, unless_stopped
from saco_data.transports.http.retries import Retries
from saco_data.transports.http.service import Service
from saco_data.transports.http.session import Session

T = TypeVar("T")
_AHEAD = 200  # requests that are tried in reverse where the first ones are all denied


class Http:
    """One source over HTTP; a context manager, usable from any thread.

    Request rates and the circuit breaker are shared by all that one instance does. `service` says
    how the source differs from a plain web server.
    """

    def __init__(self, policy: Policy, service: Service | None = None) -> None:
        self.policy = policy
        self.service = service or Service()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="saco-http", daemon=True
        )
        self._session: Session | None = None

    def __enter__(self) -> Self:
        async def start() -> Session:
            return Session(self.policy, self.service)

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
            await _cancel(asyncio.all_tasks() - {asyncio.current_task()})
            await session.close()

        if self._session is not None:
            self._call(stop(self._session))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def fetch(
        self, requests: Iterable[Request], stop: threading.Event | None = None
    ) -> Generator[Reply, None, None]:
        """One reply for each request, as the files complete.

        At most `policy.concurrency` files are under way or waiting to be taken, so a slow consumer
        bounds the disk. If the first requests are all denied, the next 200 are tried in reverse
        before the circuit opens. Closing the generator or setting `stop` cancels what is under way;
        its parts are resumed next time. Raises Blocked when the circuit opens, DiskFull and
        OutputError; files that had completed before come first.
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

        under_way, exhausted, probed = 0, False, False
        try:
            while True:
                if session.breaker.needs_probe and not probed:
                    ahead = list(itertools.islice(source, _AHEAD))
                    source, probed = itertools.chain(reversed(ahead), source), True
                while not exhausted and under_way < self.policy.concurrency:
                    request = next(source, None)
                    if request is None:
                        exhausted = True
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
        """The content of a document.

        Raises Failure (also for more than `limit_bytes`), or Blocked where access is denied or the
        circuit is open.
        """
        return self._call(self._get(self._address(url), headers or {}, limit_bytes))

    def open(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        stop: threading.Event | None = None,
    ) -> RemoteFile:
        """A file to read in place. Raises as `get` does, and Stopped once `stop` is set."""
        stop = stop or threading.Event()
        file = RemoteFile(self._ready(), self._loop, self._address(url), headers or {}, stop)
        ready: queue.SimpleQueue[Future[None]] = queue.SimpleQueue()
        loading = asyncio.run_coroutine_threadsafe(file.load_facts(), self._loop)
        loading.add_done_callback(ready.put)
        try:
            unless_stopped(ready, stop).result()
        finally:
            loading.cancel()
        return file

    async def _get(self, url: URL, headers: Mapping[str, str], limit: int) -> bytes:
        session = self._ready()
        retries = Retries(session.breaker)
        while True:
            try:
                async with session.ask(url, headers) as body:
                    pieces, size = [], 0
                    async for piece in body.pieces(self.policy.stall_timeout):
                        pieces.append(piece)
                        size += len(piece)
                        if size > limit:
                            raise RequestFailure(
                                f"more than {limit:,} bytes", reason=Reason.HTTP_ERROR
                            )
                    return b"".join(pieces)
            except RequestFailure as failure:
                await retries.wait_to_retry_or_report(failure, url)

    def _address(self, text: str) -> URL:
        try:
            return self.service.parse_address(text)
        except RequestFailure as failure:
            raise Failure(failure.what, reason=failure.reason) from None

    def _ready(self) -> Session:
        if self._session is None:
            raise RuntimeError("Http is a context manager: use it in a with statement")
        return self._session

    def _stop(self, tasks: set[asyncio.Task[Reply]]) -> None:
        # A generator may be collected after the loop has ended.
        if self._loop.is_running():
            self._call(_cancel(tasks))

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


async def _cancel(tasks: Iterable[asyncio.Task[Any] | None]) -> None:
    """Cancels tasks and waits for their end."""
    waited = [task for task in tasks if task is not None]
    for task in waited:
        task.cancel()
    await asyncio.gather(*waited, return_exceptions=True)
