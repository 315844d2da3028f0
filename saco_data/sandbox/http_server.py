"""A file server on loopback that misbehaves on request: what the demo and the tests fetch from.

It speaks HTTP/1.1 with ranges, validators and HEAD, answers late or slowly if told to, and can go
wrong in every way that was seen on the web. Other sandbox servers mount their paths on it.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from email.utils import formatdate, parsedate_to_datetime
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from saco_data.storage.names import UnsafeName, safe_join

_PIECE = 1 << 18
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
_LOGIN = b"<!DOCTYPE html><html><head><title>Something else</title></head><body>Hello</body></html>"
_EXPIRED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code>'
    b"<Message>Request has expired</Message><RequestId>5C2B7A</RequestId></Error>"
)


class Fault(StrEnum):
    """One way of going wrong."""

    UNAVAILABLE = "503"
    THROTTLED = "429 with Retry-After in seconds"
    THROTTLED_UNTIL = "429 with Retry-After as a date"
    RESET = "connection reset in mid-body"
    SHORT_BODY = "connection closed before Content-Length"
    WRONG_LENGTH = "a cut body announced as if it were whole"
    WRONG_BYTES = "other bytes of the right length"
    HTML = "an HTML page with status 200"
    DRIP = "a few bytes at a time"
    STALL = "silence in mid-body"
    EXPIRED = "403 as object stores word it"
    CHANGED = "another ETag from now on"
    NO_RANGES = "a Range header ignored"


@dataclass(frozen=True, slots=True)
class Faults:
    """Which faults happen, and how often.

    Each request for a file goes wrong with `probability`, in a way drawn from `kinds`. The draw
    depends on `seed`, the path and the number of requests the path has seen, so it is the same
    however requests interleave. `first`: only so many requests of each path can go wrong.
    """

    kinds: tuple[Fault, ...] = tuple(Fault)
    probability: float = 0.2
    seed: int = 0
    first: int | None = None
    retry_after: int = 1  # seconds
    stall: float = 60.0  # seconds of silence
    drip: int = 512  # bytes a second

    def draw(self, path: str, number: int) -> Fault | None:
        """The fault of request `number` (from 1) for `path`."""
        if not self.kinds or (self.first is not None and number > self.first):
            return None
        dice = random.Random(f"{self.seed} {path} {number}")  # noqa: S311 - reproducible on purpose
        return dice.choice(self.kinds) if dice.random() < self.probability else None


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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
        if (refusal := self._refusal(fault)) is not None:
            return refusal
        answer = await self._find(request)
        if answer is None:
            return web.Response(status=404, text="no such file")
        if answer.status != 200 or request.method not in ("GET", "HEAD"):
            assert isinstance(answer.body, bytes)
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        return await self._send(request, answer, fault)

    def _refusal(self, fault: Fault | None) -> web.Response | None:
        """The answer to a request that gets nothing of the file."""
        rest = self.faults.retry_after if self.faults else 0
        match fault:
            case Fault.UNAVAILABLE:
                return web.Response(status=503, text="try later")
            case Fault.THROTTLED:
                return web.Response(status=429, headers={"Retry-After": str(rest)})
            case Fault.THROTTLED_UNTIL:
                date = formatdate(time.time() + rest, usegmt=True)
                return web.Response(status=429, headers={"Retry-After": date})
            case Fault.HTML:
                return web.Response(body=_LOGIN, content_type="text/html")
            case Fault.EXPIRED:
                return web.Response(status=403, body=_EXPIRED, content_type="application/xml")
            case _:
                return None

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
        size = body.stat().st_size if isinstance(body, Path) else len(body)
        if fault is Fault.CHANGED:
            self._versions[request.path] += 1
        etag, modified = self._validators(request.path, body)
        ranges = self.ranges and fault is not Fault.NO_RANGES
        wanted = _wanted(request.headers, size, etag, modified) if ranges else None
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
            await self._stream(response, body, start, cut, fault)
        except ConnectionError:
            return response
        if cut < stop:
            await self._break(request, fault)
        return response

    async def _stream(
        self,
        response: web.StreamResponse,
        body: bytes | Path,
        start: int,
        stop: int,
        fault: Fault | None,
    ) -> None:
        rate = self.faults.drip if self.faults and fault is Fault.DRIP else self.bandwidth
        piece = max(1, min(_PIECE, rate // 20)) if rate else _PIECE
        begun, sent = time.monotonic(), 0
        file = body.open("rb") if isinstance(body, Path) else None
        try:
            if file is not None:
                file.seek(start)
            while start + sent < stop:
                here = start + sent
                count = min(piece, stop - here)
                if isinstance(body, bytes):
                    data = body[here : here + count]
                else:
                    assert file is not None
                    data = file.read(count)
                if fault is Fault.WRONG_BYTES:
                    data = data.translate(_WRONG)
                await response.write(data)
                sent += count
                self.bytes_sent += count
                if rate:
                    await asyncio.sleep(max(0.0, begun + sent / rate - time.monotonic()))
        finally:
            if file is not None:
                file.close()

    async def _break(self, request: web.BaseRequest, fault: Fault | None) -> None:
        transport = request.transport
        if fault is Fault.STALL and self.faults is not None:
            until = time.monotonic() + self.faults.stall
            while request.transport is not None and time.monotonic() < until:
                await asyncio.sleep(0.05)
        if transport is None:
            return
        if fault is Fault.RESET:
            # What was written must leave first: an abort throws the send buffer away.
            while transport.get_write_buffer_size():
                await asyncio.sleep(0.001)
            _linger_zero(transport)
            transport.abort()
        else:
            transport.close()


def _linger_zero(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _wanted(
    headers: Mapping[str, str], size: int, etag: str, modified: float
) -> tuple[int, int] | None:
    """The (start, stop) that a Range header asks for; None: send everything."""
    match = re.fullmatch(r"bytes=(\d*)-(\d*)", headers.get("Range", ""))
    if match is None or match.groups() == ("", ""):
        return None
    if (condition := headers.get("If-Range")) is not None and condition != etag:
        try:
            if parsedate_to_datetime(condition).timestamp() != modified:
                return None
        except ValueError:
            return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size
