"""One file: small ones in memory, others into a part that survives the process."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from yarl import URL

from saco_data.model.errors import SacoError
from saco_data.model.reasons import Reason
from saco_data.storage import files
from saco_data.storage.disk_errors import explain_errors
from saco_data.storage.names import UnsafeName
from saco_data.transports.http import content
from saco_data.transports.http.circuit_breaker import Tries
from saco_data.transports.http.outcome import Trouble, address, not_the_file, origin_of
from saco_data.transports.http.part import Part, gap, join
from saco_data.transports.http.session import Body, Session, Version
from saco_data.transports.http.types import Reply, Request

SMALL = 1 << 19  # bytes; held in memory and, if need be, fetched anew
LARGE = 1 << 25  # bytes still to come for which more connections are tried
_BATCH = 1 << 20  # bytes written at once
_CHUNK = 1 << 24  # bytes of one range among several
_LEAST = 1 << 21
_HASHED = 1 << 25  # bytes hashed in one go: a cancelled download waits for it
_TICK = 0.1  # seconds
_SAVE = 0.5  # seconds between two notes
_SETTLE, _MEASURE = 0.15, 0.35  # seconds
_AGAIN = 3.0  # seconds until it is tried again, and twice as long each time
_PAYS = 1.3  # doubling the connections must bring so many times the bytes


@dataclass(slots=True, eq=False)
class _Gap:
    """A range that one connection fills. `start` moves on, `held` bytes beyond it are in memory."""

    start: int
    stop: int | None  # may be taken back
    held: int = 0


@dataclass(slots=True)
class _State:
    """What one attempt at the whole file knows; thrown away when it has to start anew."""

    digests: content.Digests | None = None
    gaps: list[_Gap] = field(default_factory=list)
    lanes: set[asyncio.Task[None]] = field(default_factory=set)  # connections beside the first
    helpers: list[asyncio.Task[None]] = field(default_factory=list)
    small: bytes | None = None
    want: int = 1  # connections
    received: int = 0
    seekable: bool = False


class Download:
    """The way of one request to its reply."""

    def __init__(self, session: Session, request: Request) -> None:
        self.session = session
        self.request = request
        self.tries = Tries(session.limits)
        self.facts: dict[str, Any] = {}
        expect = request.expect
        self.vouched = bool(expect.sha256 or expect.md5 or expect.crc32c)

    async def run(self) -> Reply:
        """Fetches the file. Raises Blocked, DiskFull or OutputError; all else is in the reply."""
        origin, reason, detail = "", Reason.OK, ""
        size: int | None = None
        sha256: str | None = None
        try:
            self.url = address(self.request.url)
            origin = origin_of(self.url)
            self.part = Part(self.request.to, origin)
            with explain_errors(self.request.to):
                size, sha256 = await self._persist()
        except Trouble as trouble:
            reason, detail = trouble.reason, trouble.detail
        except UnsafeName as error:
            reason, detail = Reason.UNSAFE_NAME, str(error)
        done = reason is Reason.OK
        return Reply(
            key=self.request.key,
            reason=reason,
            detail=detail,
            path=self.request.to if done else None,
            bytes=size,
            sha256=sha256,
            origin=origin,
            facts=self.facts,
            attempts=self.tries.failed + done,
        )

    async def _persist(self) -> tuple[int, str]:
        self.part.load(vouched=self.vouched)
        while True:
            try:
                return await self._attempt()
            except Trouble as trouble:
                if not trouble.spoiled:
                    raise  # the lanes have tried often enough
                await self.session.on_disk(self.part.discard)
                await self.tries.after(trouble)

    async def _attempt(self) -> tuple[int, str]:
        """One try at the whole file, in as many requests as it takes: (bytes, sha256)."""
        self.state = state = _State()
        part = self.part
        if part.version.size and gap(part.spans, part.version.size) is None:
            # All is here, but is it still what the server has? Its last byte will tell.
            part.spans = [(0, part.version.size - 1)] if part.version.size > 1 else []
        try:
            async with asyncio.TaskGroup() as self.group:
                while self._claimable() is not None:
                    await self._lane()
                    if state.lanes:
                        await asyncio.wait(state.lanes)
                for helper in state.helpers:
                    helper.cancel()
            return await self._complete()
        except BaseExceptionGroup as several:
            raise _weightiest(several) from None
        finally:
            if part.is_open:
                # What is here stays useful, however this ended.
                with suppress(OSError, SacoError):
                    await self.session.on_disk(lambda: part.save(part.spans))
                part.close()

    def _claimable(self) -> _Gap | None:
        """The next range that no connection is at work on."""
        state, size = self.state, self.part.version.size
        if state.small is not None:
            return None
        taken = self.part.spans
        for one in state.gaps:
            end = one.stop if one.stop is not None else sys.maxsize
            if end > one.start:
                taken = join(taken, (one.start, end))
        found = gap(taken, size)
        if found is None or found[0] >= sys.maxsize:
            return None
        start, stop = found[0], found[1]
        if state.want > 1 and stop is not None and size is not None:
            left = size - sum(b - a for a, b in self.part.spans)
            stop = min(stop, start + max(_LEAST, min(_CHUNK, left // (2 * state.want))))
        return _Gap(start, stop)

    async def _lane(self, *, extra: bool = False) -> None:
        """Fills one range after the other, each with as many requests as it takes."""
        state = self.state
        while (one := self._claimable()) is not None:
            state.gaps.append(one)
            try:
                while one.stop is None or one.start < one.stop:
                    try:
                        await self._fill(one, extra=extra)
                    except Trouble as trouble:
                        if trouble.spoiled:
                            raise
                        await self.tries.after(trouble)
                    if extra and not state.seekable:
                        return
                    if state.small is not None:
                        return
            finally:
                state.gaps.remove(one)
            if extra and len(state.lanes) >= state.want:
                # Out of the count at once, or those that look next would leave as well.
                state.lanes -= {asyncio.current_task()}
                return

    async def _fill(self, one: _Gap, *, extra: bool) -> None:
        """One request for a range; what came of it is on disk even if it breaks."""
        part, state = self.part, self.state
        mixed = not self.vouched and bool(part.spans or len(state.gaps) > 1)
        if mixed and not part.version.validator:
            raise Trouble(
                Reason.NETWORK, "broke off and cannot be resumed", transient=True, spoiled=True
            )
        size = part.version.size
        async with self.session.ask(
            self.url,
            self.request.headers,
            start=one.start,
            stop=None if one.stop == size else one.stop,
            known=None if part.version == Version() else part.version,
            sure=mixed,
        ) as body:
            self._learn(body)
            length = body.version.size
            if not body.ranged and not part.spans and length is not None and length <= SMALL:
                state.small = b"".join([piece async for piece in self._pieces(body)])
                return
            if extra and not body.ranged:
                state.seekable, state.want = False, 1
                return
            if part.version == Version():
                part.version = body.version
                one.stop = body.version.size
            if not state.helpers:
                await self._prepare()
            await self._store(one, body)

    def _learn(self, body: Body) -> None:
        """Keeps what the first answer says of the file."""
        state, headers = self.state, body.headers
        state.seekable |= body.ranged or headers.get("Accept-Ranges") == "bytes"
        if state.digests is not None:
            return
        state.digests = content.Digests(
            self.request.expect, content.announced_by(headers, whole=not body.ranged)
        )
        self.facts = {
            name: value
            for name, value in {
                "etag": body.version.etag,
                "last_modified": body.version.last_modified,
                "content_type": body.response.content_type,
                "redirected_to": body.moved_to(self.url),
            }.items()
            if value
        }

    async def _prepare(self) -> None:
        size = self.part.version.size
        await self.session.on_disk(self.part.open)
        if size is not None:
            await self.session.on_disk(lambda: self.part.reserve(size))
        self.state.helpers = [
            self.group.create_task(self._keep()),
            self.group.create_task(self._widen()),
        ]

    async def _pieces(self, body: Body) -> AsyncIterator[bytes]:
        """The body, after a look at how it begins."""
        first = body.start == 0
        async for piece in body.pieces(self.session.policy.stall_timeout):
            if first and (page := not_the_file(self.url, body.response.url, "", piece[:4096])):
                raise page
            first = False
            yield piece

    async def _store(self, one: _Gap, body: Body) -> None:
        """Writes a body into its range."""
        skip = one.start - body.start  # of a server that sends it all again
        batch: list[bytes] = []
        full = False
        try:
            async for piece in self._pieces(body):
                self.state.received += len(piece)
                if skip:
                    piece, skip = piece[skip:], max(0, skip - len(piece))
                if one.stop is not None:
                    room = max(0, one.stop - one.start - one.held)
                    full = len(piece) > room
                    piece = piece[:room]
                batch.append(piece)
                one.held += len(piece)
                if one.held >= _BATCH:
                    batch, pieces = [], batch
                    await self._write(one, pieces)
                if full:
                    break
        finally:
            await self._write(one, batch)
        if one.stop is None:
            one.stop = one.start
            self.part.version = replace(self.part.version, size=one.start)
        elif one.start < one.stop:
            raise Trouble(Reason.SHORT_BODY, "the body was cut short", transient=True)

    async def _write(self, one: _Gap, pieces: list[bytes]) -> None:
        count, start = one.held, one.start
        if count:
            await self.session.on_disk(lambda: self.part.write(pieces, start))
            self.part.spans = join(self.part.spans, (start, start + count))
            one.start, one.held = start + count, 0
            self.tries.progress(count)

    async def _keep(self) -> None:
        """Notes what is here and computes digests, behind the download."""
        saved: list[tuple[int, int]] = []
        since = time.monotonic()
        while True:
            await asyncio.sleep(_TICK)
            await self._hash(self.part.front, once=True)
            spans = self.part.spans
            if spans != saved and time.monotonic() - since >= _SAVE:
                await self.session.on_disk(lambda spans=spans: self.part.save(spans))  # type: ignore[misc]
                saved, since = spans, time.monotonic()

    async def _hash(self, stop: int, *, once: bool = False) -> None:
        digests, file = self.state.digests, self.part.open()
        assert digests is not None
        while digests.position < stop:
            step = min(stop, digests.position + _HASHED)
            await self.session.on_disk(lambda step=step: digests.follow(file, step))  # type: ignore[misc]
            if once:
                return

    async def _widen(self) -> None:
        """Doubles the connections for as long as that pays."""
        state, size = self.state, self.part.version.size
        policy = self.session.policy
        most = min(policy.connections_per_file, policy.concurrency)
        if not state.seekable or size is None or not (self.part.version.validator or self.vouched):
            return
        rate, pause = await self._rate(), _AGAIN
        while state.want < most:
            left = size - sum(stop - start for start, stop in self.part.spans)
            if left < LARGE or left < 2 * rate or not state.seekable:
                return
            before, state.want = state.want, min(most, 2 * state.want)
            for one in state.gaps:
                if one.stop is not None:
                    one.stop = min(one.stop, one.start + one.held + _CHUNK)
            while len(state.lanes) + 1 < state.want:
                lane = self.group.create_task(self._lane(extra=True))
                state.lanes.add(lane)
                lane.add_done_callback(state.lanes.discard)
            wider = await self._rate()
            if wider >= rate * _PAYS:
                rate = wider
                continue
            state.want = min(before, state.want)
            # One bad moment of a busy machine or line must not settle it for a whole archive.
            await asyncio.sleep(pause)
            pause *= 2
            rate = await self._rate()

    async def _rate(self) -> float:
        """Bytes a second, once the connections have got going."""
        await asyncio.sleep(_SETTLE)
        since, before = time.monotonic(), self.state.received
        await asyncio.sleep(_MEASURE)
        return (self.state.received - before) / (time.monotonic() - since)

    async def _complete(self) -> tuple[int, str]:
        """Checks the file and gives it its name."""
        part, state, request = self.part, self.state, self.request
        digests, small = state.digests, state.small
        assert digests is not None
        if small is None:
            assert part.version.size is not None
            await self._hash(part.version.size)
            await self.session.on_disk(lambda: _keep_part(part, request, self.url, digests))
        else:
            # Here, because to hand a small file to a thread takes longer than to check it.
            digests.update(small)
            head, tail = small[: content.EDGE], small[-content.EDGE :]
            content.check(request.expect, self.url, len(small), digests, head, tail)
            await self.session.on_disk(lambda: files.write_atomic(request.to, small))
            if part.found:
                await self.session.on_disk(part.discard)
        return digests.position, digests.sha256()


def _keep_part(part: Part, request: Request, url: URL, digests: content.Digests) -> None:
    file, size = part.open(), digests.position
    head = os.pread(file, content.EDGE, 0)
    tail = os.pread(file, content.EDGE, max(0, size - content.EDGE))
    content.check(request.expect, url, size, digests, head, tail)
    part.finish()


def _weightiest(several: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error that matters most of those that connections ended with."""
    errors = [
        _weightiest(error) if isinstance(error, BaseExceptionGroup) else error
        for error in several.exceptions
    ]
    return min(errors, key=lambda error: isinstance(error, Trouble) and 1 + (not error.spoiled))
