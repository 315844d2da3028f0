"""The file server itself: connections, routes, validators, and what it counts."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Self

from aiohttp import web

from saco_data.sandbox.http_server.body import parse_range, read_paced, reset, size_of
from saco_data.sandbox.http_server.faults import Fault, Faults, refuse
from saco_data.storage.names import UnsafeName, safe_join

_TYPES = {
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".mp4": "video/mp4",
    ".csv": "text/csv",
    ".json": "application/json",
    ".tar": "application/x-tar",
    ".gz": "application/gzip",
    ".zip": "application/zip",
    ".html": "text/html",
}
_WRONG = bytes(value ^ 0x5A for value in range(256))


@dataclass(frozen=True, slots=True)
class Query:
    """What a dynamic route is asked."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a dynamic route answers; a 200 to a GET is served with ranges, validators and faults."""

    body: bytes | Path = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Route = Callable[[Query], Answer | None]


class FileServer:
    """Serves a folder or a mapping of paths to contents on 127.0.0.1, from a thread of its own.

    `files` may be changed while it serves (then ETags change too). `latency`: seconds before each
    answer. `bandwidth`: bytes a second that one connection gets, 0 for all it can. `ranges` and
    `etags` may be switched off. `requests` counts requests by path, `started` holds the time of
    each (`time.monotonic`), `seen` the headers of the last 10,000.
    """

    def __init__(
        self,
        files: Path | Mapping[str, bytes | Path] | None = None,
        *,
        faults: Faults | None = None,
        latency: float = 0.0,
        bandwidth: int = 0,
        ranges: bool = True,
        etags: bool = True,
    ) -> None:
        self.root = files if isinstance(files, Path) else None
        self.files: MutableMapping[str, bytes | Path] = (
            {} if files is None or isinstance(files, Path) else dict(files)
        )
        self.faults = faults
        self.latency = latency
        self.bandwidth = bandwidth
        self.ranges = ranges
        self.etags = etags
        self.requests: Counter[str] = Counter()
        self.injected: Counter[Fault] = Counter()
        self.started: deque[float] = deque(maxlen=1_000_000)
        self.seen: deque[tuple[str, str, Mapping[str, str]]] = deque(maxlen=10_000)
        self.bytes_sent = 0
        self.busiest = 0  # most requests at once
        self.url = ""
        self._busy = 0
        self._versions: Counter[str] = Counter()
        self._marks: dict[str, tuple[bytes, str]] = {}
        self._routes: list[tuple[str, Route]] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.ServerRunner | None = None

    def route(self, prefix: str, answer: Route) -> None:
        """Lets `answer` serve paths that begin with `prefix`; None from it means 404.

        The longest prefix wins. It is called in a worker thread.
        """
        self._routes.append((prefix, answer))
        self._routes.sort(key=lambda pair: -len(pair[0]))

    def peak_rate(self, window: float = 1.0) -> float:
        """The most requests a second seen in any `window` seconds."""
        most, inside_window = 0, deque[float]()
        for moment in tuple(self.started):
            inside_window.append(moment)
            while inside_window[0] <= moment - window:
                inside_window.popleft()
            most = max(most, len(inside_window))
        return most / window

    def __enter__(self) -> Self:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> int:
        self._runner = web.ServerRunner(
            web.Server(self._handle, access_log=None), shutdown_timeout=0.1
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    async def _close(self) -> None:
        assert self._runner is not None
        await self._runner.cleanup()
        await self._loop.shutdown_default_executor()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests[request.path] += 1
        self.started.append(time.monotonic())
        self.seen.append((request.method, request.path, dict(request.headers)))
        self._busy += 1
        self.busiest = max(self.busiest, self._busy)
        try:
            if self.latency:
                await asyncio.sleep(self.latency)
            return await self._answer(request)
        finally:
            self._busy -= 1

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        draw = self.faults.draw if self.faults else lambda *_: None
        if (fault := draw(request.path, self.requests[request.path])) is not None:
            self.injected[fault] += 1
        retry_after = self.faults.retry_after if self.faults else 0
        if (refusal := refuse(fault, retry_after)) is not None:
            return refusal
        answer = await self._find(request)
        if answer is None:
            return web.Response(status=404, text="no such file")
        if answer.status != 200 or request.method not in ("GET", "HEAD"):
            assert isinstance(answer.body, bytes)
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        return await self._send(request, answer, fault)

    async def _find(self, request: web.BaseRequest) -> Answer | None:
        path = request.path
        for prefix, answer in self._routes:
            if path.startswith(prefix):
                query = Query(
                    request.method, path, dict(request.query), request.headers, await request.read()
                )
                return await asyncio.to_thread(answer, query)
        if path in self.files:
            return Answer(self.files[path])
        if self.root is not None:
            try:
                file = safe_join(self.root, path.removeprefix("/"))
            except UnsafeName:
                return None
            return Answer(file) if file.is_file() else None
        return None

    def _validators(self, path: str, body: bytes | Path) -> tuple[str, float]:
        """ETag and modification time (seconds) of what is served under `path` now."""
        if isinstance(body, Path):
            stat = body.stat()
            mark, modified = f"{stat.st_size:x}-{stat.st_mtime_ns:x}", stat.st_mtime
        else:
            known = self._marks.get(path)
            if known is None or known[0] is not body:
                # Hashing a large body for each request would hold up every other connection.
                known = body, hashlib.blake2b(body, digest_size=8).hexdigest()
                self._marks[path] = known
            mark, modified = known[1], 1.7e9
        version = self._versions[path]
        return f'"{mark}-{version}"', int(modified) + version * 3600

    async def _send(
        self, request: web.BaseRequest, answer: Answer, fault: Fault | None
    ) -> web.StreamResponse:
        body = answer.body
        size = size_of(body)
        if fault is Fault.CHANGED:
            self._versions[request.path] += 1
        etag, modified = self._validators(request.path, body)
        if request.headers.get("If-Match", etag) != etag:
            return web.Response(status=412)
        ranges = self.ranges and fault is not Fault.NO_RANGES
        wanted = parse_range(request.headers, size, etag, modified) if ranges else None
        if wanted is not None and wanted[0] >= wanted[1]:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        start, stop = wanted or (0, size)
        response = web.StreamResponse(status=200 if wanted is None else 206)
        response.content_type = _TYPES.get(Path(request.path).suffix, "application/octet-stream")
        response.headers.update(answer.headers)
        response.headers["Last-Modified"] = formatdate(modified, usegmt=True)
        response.headers["Accept-Ranges"] = "bytes" if ranges else "none"
        if self.etags:
            response.headers["ETag"] = etag
        if wanted is not None:
            response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        half = start + (stop - start) // 2
        if fault is Fault.WRONG_LENGTH:
            stop = half
        response.content_length = stop - start
        cut = half if fault in (Fault.RESET, Fault.SHORT_BODY, Fault.STALL) else stop
        try:
            await response.prepare(request)
            if request.method == "HEAD":
                return response
            await self._stream(response, read_paced(body, start, cut, self._rate(fault)), fault)
        except ConnectionError:
            return response
        if cut < stop:
            await self._break(request, fault)
        return response

    def _rate(self, fault: Fault | None) -> int:
        """Bytes a second for one answer; 0: as fast as it goes."""
        return self.faults.drip if self.faults and fault is Fault.DRIP else self.bandwidth

    async def _stream(
        self,
        response: web.StreamResponse,
        pieces: AsyncGenerator[bytes, None],
        fault: Fault | None,
    ) -> None:
        async with contextlib.aclosing(pieces):
            async for piece in pieces:
                data = piece.translate(_WRONG) if fault is Fault.WRONG_BYTES else piece
                await response.write(data)
                self.bytes_sent += len(data)

    async def _break(self, request: web.BaseRequest, fault: Fault | None) -> None:
        transport = request.transport
        if fault is Fault.STALL and self.faults is not None:
            until = time.monotonic() + self.faults.stall
            while request.transport is not None and time.monotonic() < until:
                await asyncio.sleep(0.05)
        if transport is None:
            return
        if fault is Fault.RESET:
            await reset(transport)
        else:
            transport.close()
