"""One aiohttp session with our manners: redirects, credentials, timeouts, turns at a host."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.request import getproxies

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from saco_data.model.errors import UsageError
from saco_data.model.reasons import Reason
from saco_data.model.version import __version__
from saco_data.transports.http.circuit_breaker import Limits
from saco_data.transports.http.outcome import (
    Trouble,
    is_usable,
    mishap,
    not_the_file,
    origin_of,
    refusal,
)
from saco_data.transports.http.types import Policy

T = TypeVar("T")
USER_AGENT = f"saco-data/{__version__} (+https://github.com/saco-data/saco-data)"
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10
_SLOWEST = 1024  # bytes a second; less, for the length of the stall timeout, is a stall
_BUFFER = 1 << 17


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one version of a file from another."""

    etag: str = ""
    last_modified: str = ""
    size: int | None = None

    @property
    def validator(self) -> str:
        """What may stand in If-Range: a strong ETag, else the date; "" where there is neither."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified

    def differs(self, other: Version) -> bool:
        """Whether the two are certainly not the same version."""
        if self.size is not None and other.size is not None and self.size != other.size:
            return True
        if self.etag and other.etag:
            # Equal weak ones name what is as good, not what is the same byte by byte.
            weak = self.etag.startswith("W/") or other.etag.startswith("W/")
            if not weak or self.etag.removeprefix("W/") != other.etag.removeprefix("W/"):
                return self.etag != other.etag
        dates = self.last_modified, other.last_modified
        return all(dates) and dates[0] != dates[1]

    def confirms(self, known: Version) -> bool:
        """Whether it is `known` by its validator."""
        return known.validator != "" and known.validator in (self.etag, self.last_modified)


@dataclass(frozen=True, slots=True)
class Body:
    """An answer whose body is still to be read. `start`: where in the file it begins."""

    response: aiohttp.ClientResponse
    version: Version
    start: int
    ranged: bool

    @property
    def headers(self) -> Mapping[str, str]:
        return self.response.headers

    def moved_to(self, asked: URL) -> str:
        """Where redirects led, without secrets; "" if it was answered where it was asked."""
        return "" if self.response.url == asked else origin_of(self.response.url)

    async def pieces(self, stall: float) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises Trouble when it breaks, stalls or drips (seconds)."""
        content, since, count = self.response.content, time.monotonic(), 0
        while True:
            try:
                # A body whose framing breaks is never said to have ended.
                async with asyncio.timeout(stall):
                    piece = await content.readany()
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise mishap(error) from None
            if not piece:
                return
            count += len(piece)
            # The clock stops while the piece is used: a slow reader is not a slow server.
            waited = time.monotonic() - since
            if waited >= stall:
                if count < _SLOWEST * stall:
                    raise Trouble(Reason.TIMEOUT, "the body only drips in", transient=True)
                since, count, waited = time.monotonic(), 0, 0.0
            yield piece
            since = time.monotonic() - waited


class Session:
    """The network and disk threads of one source; lives in the event loop."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.limits = Limits(policy)
        # More threads than cores only take turns; two, so that one slow file holds up no other.
        self._disk = ThreadPoolExecutor(max(2, min(4, os.cpu_count() or 2)), "saco-disk")
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=_trust()),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=policy.connect_timeout, sock_read=policy.stall_timeout
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=_environment_matters(),
            read_bufsize=_BUFFER,
        )

    async def close(self) -> None:
        await self._client.close()
        self._disk.shutdown()

    async def on_disk(self, work: Callable[[], T]) -> T:
        """Runs `work` in a thread; a cancelled task still waits for it, so files stay whole."""
        future = asyncio.get_running_loop().run_in_executor(self._disk, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait([future])
            raise

    @asynccontextmanager
    async def ask(
        self,
        url: URL,
        headers: Mapping[str, str],
        *,
        start: int = 0,
        stop: int | None = None,
        known: Version | None = None,
        sure: bool = False,
        hold: bool = True,
    ) -> AsyncIterator[Body]:
        """GET of `url`, from byte `start` up to `stop` (exclusive) if it is still `known`.

        The server may disregard the range: see `Body.start`. Raises Trouble (`spoiled` if it is
        certainly another version than `known`), Blocked once the source is closed. `sure`: the
        answer must say that it is `known`, so that nothing else is joined to it. `hold`: keep the
        turn while the body is read.
        """
        host = f"{url.host}:{url.port}"
        own = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Accept": "*/*"}
        if start or stop is not None:
            own["Range"] = f"bytes={start}-" + ("" if stop is None else str(stop - 1))
            if known is not None and known.validator:
                own["If-Range"] = known.validator
        async with AsyncExitStack() as turn:
            await turn.enter_async_context(self.limits.turn(host))
            try:
                response = await self._follow(url, headers, own)
                try:
                    stall = self.policy.stall_timeout
                    body = await _judge(response, url, start, "Range" in own, stall)
                    if known is not None:
                        _compare(known, body.version, sure=sure)
                    self.limits.answered(host)
                    if not hold:
                        await turn.aclose()
                    yield body
                finally:
                    # Back to the pool if it was read to its end, closed if not.
                    if response.content.at_eof():
                        response.release()
                    else:
                        response.close()
            except Trouble as trouble:
                self.limits.met(trouble, host, origin_of(url))
                if trouble.wall and self.limits.refused(host):
                    await turn.aclose()
                    if not await self._still_serves(host):
                        self.limits.shut(trouble, host, origin_of(url))
                raise
            self.limits.succeeded(host, (url, headers))

    async def _still_serves(self, name: str) -> bool:
        """Whether a host that refuses one thing after the other still gives what it gave before."""
        host = self.limits.host(name)
        sample, host.sample = host.sample, None  # asked for by one task at a time
        if sample is None:
            return False
        try:
            async with self.ask(*sample, stop=1):
                return True
        except Trouble as trouble:
            if not trouble.wall:
                host.sample = sample
            return not trouble.wall

    async def _follow(
        self, url: URL, headers: Mapping[str, str], own: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        sent = CIMultiDict({**own, **headers})
        for _ in range(_MOST_REDIRECTS + 1):
            response = await self._send(url, sent)
            if response.status not in _REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            try:
                target = url.join(URL(response.headers["Location"]))
                usable = is_usable(target)
            except ValueError:
                raise Trouble(Reason.HTTP_ERROR, "redirected to an invalid address") from None
            if not usable:
                raise Trouble(Reason.HTTP_ERROR, "redirected to something that is not http(s)")
            if target.origin() != url.origin():
                # Whatever the caller sent (keys, cookies) was meant for the first host alone.
                sent = CIMultiDict(own)
            url = target
        raise Trouble(Reason.HTTP_ERROR, f"more than {_MOST_REDIRECTS} redirects")

    async def _send(self, url: URL, headers: CIMultiDict[str]) -> aiohttp.ClientResponse:
        try:
            # Name look-up and proxy have no time limit of their own.
            async with asyncio.timeout(self.policy.connect_timeout + self.policy.stall_timeout):
                return await self._client.get(url, headers=headers, allow_redirects=False)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise mishap(error) from None


async def _judge(
    response: aiohttp.ClientResponse, asked: URL, start: int, ranged: bool, stall: float
) -> Body:
    """Makes a Body of a useful answer; raises Trouble for any other. `ranged`: as was asked."""
    headers = response.headers
    kind = response.content_type if "Content-Type" in headers else ""
    if response.status == 200 and (page := not_the_file(asked, response.url, kind, b"")):
        raise page
    etag, modified = headers.get("ETag", ""), headers.get("Last-Modified", "")
    if response.status == 206:
        match = re.fullmatch(
            r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", headers.get("Content-Range", "").strip()
        )
        if match is None or int(match[1]) != start:
            raise Trouble(Reason.SERVER_ERROR, "another range than asked for", transient=True)
        version = Version(etag, modified, None if match[3] == "*" else int(match[3]))
        body = Body(response, version, start, ranged=True)
    elif response.status == 200:
        body = Body(response, Version(etag, modified, response.content_length), 0, ranged=False)
    elif response.status == 416 and start:
        raise Trouble(
            Reason.SERVER_ERROR, "shorter on the server than here", transient=True, spoiled=True
        )
    elif response.status == 416 and ranged:
        # Only an empty file has no first byte.
        body = Body(response, Version(etag, modified, 0), 0, ranged=True)
    else:
        said = await _beginning(response, stall)
        raise refusal(response.status, headers, said, asked, response.url)
    return body


def _compare(known: Version, found: Version, *, sure: bool) -> None:
    """Raises Trouble where `found` is not `known`, or (`sure`) does not say that it is."""
    if known.differs(found):
        detail = "the file changed on the server"
    elif sure and not found.confirms(known):
        detail = "broke off and cannot be resumed: nothing says that it is still the same file"
    else:
        return
    raise Trouble(Reason.SERVER_ERROR, detail, transient=True, spoiled=True)


async def _beginning(response: aiohttp.ClientResponse, stall: float) -> bytes:
    """The first bytes of a refusal, as many as come in so many seconds."""
    said = b""
    try:
        async with asyncio.timeout(stall):
            while len(said) < 4096 and (piece := await response.content.readany()):
                said += piece
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass  # the status says enough
    return said[:4096]


def _environment_matters() -> bool:
    """Whether the environment names a proxy or passwords.

    Where it does not, aiohttp would still look for both in threads, twice for each request: that
    costs as much as the request itself.
    """
    netrc = os.environ.get("NETRC") or Path("~/.netrc").expanduser()
    return bool(getproxies()) or Path(netrc).is_file()


def _trust() -> ssl.SSLContext:
    """The system's certificates (SSL_CERT_FILE included) and those of REQUESTS_CA_BUNDLE."""
    context = ssl.create_default_context()
    name = next(filter(os.environ.get, ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")), None)
    if name is None:
        return context
    bundle = Path(os.environ[name])
    try:
        if bundle.is_dir():
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
    except OSError as error:
        raise UsageError(
            f"{name} names no file of certificates ({error})",
            item=str(bundle),
            remedy="Correct or unset it",
        ) from error
    return context
