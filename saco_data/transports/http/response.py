"""An answer whose body is still to be read, and how it is told from a useless one."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from saco_data.model.reasons import Reason
from saco_data.transports.http.addresses import origin_of
from saco_data.transports.http.failure import RequestFailure, failure_of
from saco_data.transports.http.outcome import not_the_file
from saco_data.transports.http.version import Version

_SLOWEST = 1024  # bytes a second; less, for the length of the stall timeout, is a stall
_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")


@dataclass(frozen=True, slots=True)
class Body:
    """A useful answer. `asked`: the URL requested; `start`: the body's first byte in the file."""

    response: aiohttp.ClientResponse
    asked: URL
    version: Version
    start: int
    ranged: bool

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer."""
        return self.response.headers

    @property
    def facts(self) -> dict[str, str]:
        """What the server says of the file, as far as it does; holds no secret."""
        answered = self.response.url
        version_id = self.headers.get("x-amz-version-id", "")
        facts = {
            "etag": self.version.etag,
            "last_modified": self.version.last_modified,
            "version_id": "" if version_id == "null" else version_id,
            "content_type": self.response.content_type,
            "redirected_to": "" if answered == self.asked else origin_of(answered),
        }
        return {name: value for name, value in facts.items() if value}

    def check_beginning(self, head: bytes) -> None:
        """Raises RequestFailure where the first bytes are those of a web page."""
        if self.start == 0 and (
            failure := not_the_file(self.asked, self.response.url, "", head[:4096])
        ):
            raise failure

    async def pieces(self, stall: float) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises RequestFailure when it breaks or stalls (seconds)."""
        content, since, count = self.response.content, time.monotonic(), 0
        while True:
            try:
                # aiohttp never ends a body whose framing breaks: hence a time limit.
                async with asyncio.timeout(stall):
                    piece = await content.readany()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise failure_of(error) from None
            if not piece:
                return
            count += len(piece)
            # The clock stops while the piece is used: a slow reader is not a slow server.
            waited = time.monotonic() - since
            if waited >= stall:
                if count < _SLOWEST * stall:
                    raise RequestFailure(
                        "the body arrives too slowly", reason=Reason.TIMEOUT, transient=True
                    )
                since, count, waited = time.monotonic(), 0, 0.0
            yield piece
            since = time.monotonic() - waited


def read_answer(
    response: aiohttp.ClientResponse, asked: URL, start: int, *, ranged: bool
) -> Body | None:
    """The Body of a useful answer; None for a status that is a refusal.

    `start`: the first byte asked for; `ranged`: whether a range was asked for. Raises
    RequestFailure for a useless answer.
    """
    headers = response.headers
    kind = response.content_type if "Content-Type" in headers else ""
    if response.status == 200 and (failure := not_the_file(asked, response.url, kind, b"")):
        raise failure
    etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    if response.status == 206:
        match = _RANGE.fullmatch(headers.get("Content-Range", "").strip())
        if match is None or int(match[1]) != start:
            raise _unusable("another range than asked for")
        version = Version(etag, modified, None if match[3] == "*" else int(match[3]))
        return Body(response, asked, version, start, ranged=True)
    if response.status == 200:
        version = Version(etag, modified, response.content_length)
        return Body(response, asked, version, 0, ranged=False)
    if response.status == 416 and start:
        raise _unusable("the file on the server is shorter than what is here", restart=True)
    if response.status == 416 and ranged:
        # Only an empty file has no first byte.
        return Body(response, asked, Version(etag, modified, 0), 0, ranged=True)
    return None


def check_version(known: Version, found: Version, *, sure: bool) -> None:
    """Raises RequestFailure where `found` is not `known`, or (`sure`) not certainly `known`."""
    if known.differs(found):
        raise _unusable("the file changed on the server", restart=True)
    if sure and not found.confirms(known):
        what = "broke off and cannot be resumed: the server does not say that the file is the same"
        raise _unusable(what, restart=True)


def _unusable(what: str, *, restart: bool = False) -> RequestFailure:
    return RequestFailure(what, reason=Reason.SERVER_ERROR, transient=True, restart=restart)


async def first_bytes(response: aiohttp.ClientResponse, stall: float) -> bytes:
    """Up to 4096 bytes of an error page, as far as they arrive within `stall` seconds."""
    said = b""
    try:
        async with asyncio.timeout(stall):
            while len(said) < 4096 and (piece := await response.content.readany()):
                said += piece
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass  # the status says enough
    return said[:4096]
