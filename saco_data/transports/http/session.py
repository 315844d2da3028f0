"""One aiohttp session as all downloads use it: redirects, credentials, timeouts, request rates."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from saco_data.model.reasons import Reason
from saco_data.model.safe_logging import guard
from saco_data.model.version import __version__
from saco_data.transports.base import Policy
from saco_data.transports.http import environment
from saco_data.transports.http.addresses import check_target, is_usable, origin_of
from saco_data.transports.http.circuit_breaker import CircuitBreaker
from saco_data.transports.http.failure import RequestFailure, failure_of
from saco_data.transports.http.response import Body, check_version, first_bytes, read_answer
from saco_data.transports.http.service import Service
from saco_data.transports.http.version import Version

guard("aiohttp.client", "aiohttp.internal", "asyncio")
T = TypeVar("T")
USER_AGENT = f"saco-data/{__version__} (+https://github.com/saco-data/saco-data)"
_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_REDIRECTS = 10
_BUFFER = 1 << 17
_MEMORY = 1 << 26  # bytes of files that are held in memory at once


class Session:
    """The network and the disk threads of one source; lives in the event loop."""

    def __init__(self, policy: Policy, service: Service) -> None:
        self.policy = policy
        self.service = service
        self.breaker = CircuitBreaker(policy)
        self.memory = _MEMORY  # bytes that are free for files to be held
        # More threads than cores only wait for each other; at least two, so that one slow file
        # does not hold up the others.
        self._disk = ThreadPoolExecutor(max(2, min(4, os.cpu_count() or 2)), "saco-disk")
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=environment.certificates()),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=policy.connect_timeout, sock_read=policy.stall_timeout
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=environment.has_proxy_or_netrc(),
            read_bufsize=_BUFFER,
        )

    async def close(self) -> None:
        """Ends all connections and the threads."""
        await self._client.close()
        self._disk.shutdown()

    async def on_disk(self, work: Callable[[], T]) -> T:
        """The result of `work`, run in a thread.

        A cancelled task still waits for its end, so that no file is left half written.
        """
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
        method: str = "GET",
        start: int = 0,
        stop: int | None = None,
        known: Version | None = None,
        sure: bool = False,
        hold: bool = True,
    ) -> AsyncIterator[Body]:
        """The answer to a request for `url`, from byte `start` to `stop` (exclusive).

        The server may disregard the range: see `Body.start`. `known`: the version that the bytes
        must belong to; `sure`: the answer must confirm it, because it is joined to bytes that are
        here. `hold`: keep the slot at the host while the body is read. Raises RequestFailure
        (`restart` if the version is certainly another one), Blocked while the circuit is open.
        """
        host, origin = self.service.host_of(url), origin_of(url)
        own = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "Accept": "*/*"}
        if start or stop is not None:
            own["Range"] = f"bytes={start}-" + ("" if stop is None else str(stop - 1))
            if known is not None and known.validator:
                own[self.service.range_condition] = known.validator
        async with AsyncExitStack() as slot:
            await slot.enter_async_context(self.breaker.slot(host))
            try:
                asked, keys = await self.service.sign(url, method)
                response = await self._follow(method, asked, {**headers, **keys}, own)
                try:
                    body = read_answer(response, asked, start, ranged="Range" in own)
                    if response.status == 304 and (etag := headers.get("If-None-Match")):
                        # Unchanged: an answer without a body that names the version.
                        body = Body(response, asked, Version(etag), 0, ranged=False)
                    if body is None:
                        said = await first_bytes(response, self.policy.stall_timeout)
                        raise self.service.refusal(
                            response.status, response.headers, said, url, response.url
                        )
                    if known is not None:
                        check_version(known, body.version, sure=sure)
                    self.breaker.record_answer(host)
                    if not hold:
                        await slot.aclose()
                    yield body
                finally:
                    # A connection can be used again only if the body was read to its end.
                    if response.content.at_eof():
                        response.release()
                    else:
                        response.close()
            except RequestFailure as failure:
                self.breaker.record_failure(failure, host, origin)
                if failure.denied and self.breaker.record_denial(host):
                    await slot.aclose()
                    if not await self._probe(host):
                        self.breaker.open_circuit(failure, host, origin)
                raise
            self.breaker.record_success(host, (url, headers))

    async def _probe(self, name: str) -> bool:
        """Whether a host that denies request after request still serves what it served before."""
        host = self.breaker.host(name)
        sample, host.sample = host.sample, None  # only one task probes
        if sample is None:
            return False
        try:
            async with self.ask(*sample, stop=1):
                return True
        except RequestFailure as failure:
            if not failure.denied:
                host.sample = sample
            return not failure.denied

    async def _follow(
        self, method: str, url: URL, headers: Mapping[str, str], own: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """The answer at the end of all redirects."""
        sent = CIMultiDict({**own, **headers})
        for _ in range(_MOST_REDIRECTS + 1):
            response = await self._send(method, url, sent)
            if response.status not in _REDIRECTS or "Location" not in response.headers:
                return response
            response.close()
            try:
                target = url.join(URL(response.headers["Location"]))
                usable = is_usable(target)
            except ValueError:
                raise RequestFailure("redirected to an invalid address") from None
            if not usable:
                raise RequestFailure("redirected to an address that is not http(s)")
            check_target(url, target)
            if target.origin() != url.origin():
                # The caller's headers (keys, cookies) are meant for the first host alone.
                sent = CIMultiDict(own)
            url = target
        raise RequestFailure(f"more than {_MOST_REDIRECTS} redirects", reason=Reason.HTTP_ERROR)

    async def _send(
        self, method: str, url: URL, headers: CIMultiDict[str]
    ) -> aiohttp.ClientResponse:
        try:
            # Name look-up and proxy have no time limit of their own.
            async with asyncio.timeout(self.policy.connect_timeout + self.policy.stall_timeout):
                return await self._client.request(
                    method, url, headers=headers, allow_redirects=False
                )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise failure_of(error) from None
