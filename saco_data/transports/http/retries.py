"""The attempts at one file: whether another one makes sense, and when."""

from __future__ import annotations

import asyncio
import time

from yarl import URL

from saco_data.transports.base import Failure, FileChanged
from saco_data.transports.http.addresses import origin_of
from saco_data.transports.http.circuit_breaker import CircuitBreaker, blocked
from saco_data.transports.http.failure import RequestFailure

_PROGRESS = 1 << 20  # bytes after which earlier failures no longer count


class Retries:
    """Counts the failed attempts at one file. `failed`: all of them, without throttled ones."""

    def __init__(self, breaker: CircuitBreaker) -> None:
        self.breaker = breaker
        self.failed = 0
        self._failures = 0  # since the last progress
        self._restarts = 0
        self._gained = 0
        self._throttled_since: float | None = None

    def record_progress(self, count: int) -> None:
        """`count` bytes arrived: after 1 MiB earlier failures no longer count.

        Restarts still count: the bytes of a file that is never right would otherwise be fetched
        without end.
        """
        self._gained += count
        self._throttled_since = None
        if self._gained >= _PROGRESS:
            self._gained = self._failures = 0

    async def wait_to_retry(self, failure: RequestFailure) -> None:
        """Waits until the next attempt; raises `failure` if none makes sense."""
        self.failed += not failure.throttled
        if not failure.transient:
            raise failure
        if failure.throttled:
            # The whole host rests (`CircuitBreaker.slot`). Where this file alone is throttled,
            # it must not hold its place in the queue without end.
            now = time.monotonic()
            self._throttled_since = self._throttled_since or now
            if now - self._throttled_since > self.breaker.policy.patience_seconds:
                raise failure
            return
        self._gained = 0
        self._failures += 1
        self._restarts += failure.restart
        count = max(self._failures, self._restarts)
        if count >= self.breaker.policy.attempts:
            raise failure
        if failure.wait is None:  # else the whole host rests
            await asyncio.sleep(self.breaker.backoff(count))

    async def wait_to_retry_or_report(self, failure: RequestFailure, url: URL) -> None:
        """As `wait_to_retry`, with a final failure as callers know it.

        Raises Blocked (denied or throttled), FileChanged or Failure, with the origin of `url`.
        """
        origin = origin_of(url)
        if failure.restart:
            raise FileChanged(failure.what, item=origin, reason=failure.reason) from None
        try:
            await self.wait_to_retry(failure)
        except RequestFailure:
            if failure.denied or failure.throttled:
                raise blocked(failure.reason, failure.what, origin) from None
            raise Failure(failure.what, item=origin, reason=failure.reason) from None
