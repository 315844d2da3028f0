"""The download of one file: in memory if it is small, else into a part kept for the next run."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from yarl import URL

from saco_data.model.errors import SacoError
from saco_data.model.reasons import Reason
from saco_data.storage import files
from saco_data.storage.disk_errors import explain_errors
from saco_data.storage.names import UnsafeName
from saco_data.transports.base import Reply, Request
from saco_data.transports.http import content
from saco_data.transports.http.addresses import origin_of
from saco_data.transports.http.connections import Claim, Connections
from saco_data.transports.http.failure import RequestFailure
from saco_data.transports.http.held import Held
from saco_data.transports.http.part import Part
from saco_data.transports.http.response import Body
from saco_data.transports.http.retries import Retries
from saco_data.transports.http.session import Session
from saco_data.transports.http.spans import first_gap
from saco_data.transports.http.version import Version
from saco_data.transports.http.writer import Writer

SMALL = 1 << 19  # bytes; what broke off so early is fetched again
# A file of up to so many bytes is held in memory and written once, if it comes within so many
# seconds, and all such files of a source together leave room for it.
MEDIUM, HELD_SECONDS = 1 << 23, 1.0


class Download:
    """Takes one request to its reply."""

    def __init__(self, session: Session, request: Request) -> None:
        self.session = session
        self.request = request
        self.retries = Retries(session.breaker)
        self.facts: dict[str, Any] = {}
        expect = request.expect
        self.vouched = bool(expect.sha256 or expect.md5 or expect.crc32c)

    async def run(self) -> Reply:
        """The reply. Raises Blocked, DiskFull or OutputError; all other errors are in the reply."""
        origin, reason, detail = "", Reason.OK, ""
        size: int | None = None
        sha256: str | None = None
        try:
            self.url = self.session.service.parse_address(self.request.url)
            origin = origin_of(self.url)
            self.part = Part(self.request.to, origin)
            with explain_errors(self.request.to):
                size, sha256 = await self._fetch()
        except RequestFailure as failure:
            reason, detail = failure.reason, failure.what
        except UnsafeName as error:
            reason, detail = Reason.UNSAFE_NAME, str(error)
        is_done = reason is Reason.OK
        return Reply(
            key=self.request.key,
            reason=reason,
            detail=detail,
            path=self.request.to if is_done else None,
            bytes=size,
            sha256=sha256,
            origin=origin,
            facts=self.facts,
            attempts=self.retries.failed + is_done,
        )

    async def _fetch(self) -> tuple[int, str]:
        """Size and sha256 of the complete file, started again where its bytes proved useless."""
        self.part.load(vouched=self.vouched)
        while True:
            try:
                return await self._fetch_once()
            except RequestFailure as failure:
                if not failure.restart:
                    raise  # the connections have retried it
                await self.session.on_disk(self.part.discard)
                await self.retries.wait_to_retry(failure)

    async def _fetch_once(self) -> tuple[int, str]:
        """Size and sha256, after as many requests as the missing ranges take."""
        part = self.part
        self.connections = Connections(part, self.session.policy)
        self.digests: content.Digests | None = None
        self.writer: Writer | None = None
        self.small: bytes | None = None
        self.reserved = 0
        helpers: list[asyncio.Task[None]] = []
        self.helpers = helpers
        if part.version.size and first_gap(part.spans, part.version.size) is None:
            # All bytes are here. Asking for the last one shows whether the version still is the
            # server's.
            part.spans = [(0, part.version.size - 1)] if part.version.size > 1 else []
        try:
            async with asyncio.TaskGroup() as self.group:
                while self.small is None and self.connections.next_claim() is not None:
                    await self._fill_claims()
                    if self.connections.extra:
                        await asyncio.wait(self.connections.extra)
                for helper in helpers:
                    helper.cancel()
            return await self._finish()
        except BaseExceptionGroup as group:
            raise _most_important(group) from None
        finally:
            self.session.memory += self.reserved
            if part.is_open:
                # The bytes stay useful, whatever ended the attempt.
                with suppress(OSError, SacoError):
                    await self.session.on_disk(lambda: part.save(part.spans))
                part.close()

    async def _fill_claims(self, *, extra: bool = False) -> None:
        """One connection: fills range after range, each with as many requests as it takes."""
        connections = self.connections
        while self.small is None and (claim := connections.next_claim()) is not None:
            connections.claims.append(claim)
            try:
                while claim.stop is None or claim.start < claim.stop:
                    try:
                        await self._request(claim, extra=extra)
                    except RequestFailure as failure:
                        if failure.restart:
                            raise
                        await self.retries.wait_to_retry(failure)
                    if self.small is not None or (extra and not connections.seekable):
                        return
            finally:
                connections.claims.remove(claim)
            if extra and len(connections.extra) >= connections.wanted:
                # Removed at once: the next connection to look must not leave as well.
                connections.extra -= {asyncio.current_task()}
                return

    async def _request(self, claim: Claim, *, extra: bool) -> None:
        """One request for a range; the bytes that arrive are on disk even if it fails."""
        part, connections = self.part, self.connections
        is_joined = not self.vouched and bool(part.spans or len(connections.claims) > 1)
        if is_joined and not part.version.validator:
            raise RequestFailure(
                "broke off and cannot be resumed",
                reason=Reason.NETWORK,
                transient=True,
                restart=True,
            )
        async with self.session.ask(
            self.url,
            self.request.headers,
            start=claim.start,
            stop=None if claim.stop == part.version.size else claim.stop,
            known=None if part.version == Version() else part.version,
            sure=is_joined,
        ) as body:
            self._learn(body)
            length = body.version.size or 0
            pieces: AsyncIterator[bytes] = self._pieces(body)
            if self._fits_memory(body):
                held = Held(pieces)
                if await held.fill(HELD_SECONDS if length > SMALL else math.inf):
                    self.small = held.join()
                    return
                if held.failure and held.bytes <= SMALL:
                    raise held.failure
                pieces = held.rest()
            if extra and not body.ranged:
                connections.seekable, connections.wanted = False, 1
                return
            if part.version == Version():
                part.version = body.version
                claim.stop = body.version.size
            if self.writer is None:
                self.writer = await self._start_writer()
            # A server may send the file from its beginning whatever the range.
            await self.writer.store(claim, pieces, skip=claim.start - body.start)

    def _fits_memory(self, body: Body) -> bool:
        """Whether the body is a whole file that can be held in memory; reserves room for it."""
        length = body.version.size
        if length is None or body.ranged or self.part.spans or len(self.connections.claims) > 1:
            return False
        if length > SMALL:
            if length > min(MEDIUM, self.session.memory):
                return False
            self.reserved += length  # one for each request that came so far
            self.session.memory -= length
        return True

    def _learn(self, body: Body) -> None:
        """Keeps what the first answer says of the file."""
        self.connections.seekable |= body.ranged or body.headers.get("Accept-Ranges") == "bytes"
        if self.digests is None:
            announced = self.session.service.announced_digests(body.headers, whole=not body.ranged)
            self.digests = content.Digests(self.request.expect, announced)
            self.facts = body.facts

    async def _start_writer(self) -> Writer:
        """The writer, with its helper tasks at work."""
        assert self.digests is not None
        writer = Writer(self.session, self.part, self.digests, self.retries)
        await writer.prepare()
        self.helpers.append(self.group.create_task(writer.follow()))
        version = self.part.version
        if self.connections.seekable and version.size and (version.validator or self.vouched):
            widening = self.connections.widen(
                version.size, lambda: self.group.create_task(self._fill_claims(extra=True))
            )
            self.helpers.append(self.group.create_task(widening))
        return writer

    async def _pieces(self, body: Body) -> AsyncIterator[bytes]:
        """The pieces of a body; its beginning is checked."""
        is_first = True
        async for piece in body.pieces(self.session.policy.stall_timeout):
            if is_first:
                body.check_beginning(piece)
            is_first = False
            self.connections.received += len(piece)
            yield piece

    async def _finish(self) -> tuple[int, str]:
        """Size and sha256 of the file, checked and under its final name."""
        part, request, digests, small = self.part, self.request, self.digests, self.small
        assert digests is not None
        if small is None:
            assert self.writer is not None and part.version.size is not None
            await self.writer.hash(part.version.size)
            if part.resumed:
                await self.session.service.check_resumed(
                    self.session, self.url, part.version.etag, part.open()
                )
            await self.session.on_disk(lambda: _finish_part(part, request, self.url, digests))
        else:

            def check() -> None:
                digests.update(small)
                head, tail = small[: content.EDGE], small[-content.EDGE :]
                content.check(request.expect, self.url, len(small), digests, head, tail)

            def write() -> None:
                if len(small) > SMALL:
                    check()
                files.write_atomic(request.to, small, is_raw=True)

            if len(small) <= SMALL:
                # In the event loop: to hand a small file to a thread takes longer than to check it.
                check()
            await self.session.on_disk(write)
            if part.exists:
                await self.session.on_disk(part.discard)
        return digests.position, digests.sha256()


def _finish_part(part: Part, request: Request, url: URL, digests: content.Digests) -> None:
    file, size = part.open(), digests.position
    head = os.pread(file, content.EDGE, 0)
    tail = os.pread(file, content.EDGE, max(0, size - content.EDGE))
    content.check(request.expect, url, size, digests, head, tail)
    part.finish()


def _most_important(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error to report of those that the connections of one file ended with."""
    errors = [
        _most_important(error) if isinstance(error, BaseExceptionGroup) else error
        for error in group.exceptions
    ]
    return min(errors, key=_importance)


def _importance(error: BaseException) -> int:
    """0 for what concerns more than this file, then restarts, then other failures."""
    return 1 + (not error.restart) if isinstance(error, RequestFailure) else 0
