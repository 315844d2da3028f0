"""How often a source may be asked, and when to stop asking."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from yarl import URL

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.transports.http.outcome import Trouble, origin_of
from saco_data.transports.http.types import FileChanged, HttpFailure, Policy
from saco_data.transports.pacing import gap

WALLS = 5  # refusals in a row after which a host must show that it still serves anything
_LONGEST = 30.0  # seconds between two tries
_PROGRESS = 1 << 20  # bytes that make an attempt worth while

Sample = tuple[URL, Mapping[str, str]]  # what was asked for, with which headers

_REMEDIES = {
    Reason.THROTTLED: "The source asks for a rest: run the same command again later",
    Reason.LINK_EXPIRED: "Get a fresh link and put it in the config",
    Reason.UNAUTHORIZED: "Check the access to this source with `saco doctor`",
}


def blocked(reason: Reason, detail: str, item: str) -> Blocked:
    """The error for a source that needs its user or a rest."""
    return Blocked(detail, item=item, remedy=_REMEDIES[reason], reason=reason)


class Host:
    """The turn-taking at one host."""

    def __init__(self, policy: Policy) -> None:
        self.turns = asyncio.Semaphore(policy.concurrency)
        self.next_turn = 0.0
        self.rest_until = 0.0
        self.throttled_since: float | None = None
        self.throttles = 0
        self.walls = 0  # refusals in a row
        self.served_before = 0  # what the source had served when they began
        self.sample: Sample | None = None  # something that this host served
        self.closed: Trouble | None = None


class Limits:
    """Turn-taking and the circuit breaker of one source; lives in the event loop."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.closed: Blocked | None = None
        self.doubtful = False  # a host refuses that has not served anything
        self._hosts: dict[str, Host] = {}
        self._served = 0

    def host(self, name: str) -> Host:
        if name not in self._hosts:
            self._hosts[name] = Host(self.policy)
        return self._hosts[name]

    def backoff(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row: doubling, with jitter."""
        longest = min(_LONGEST, self.policy.backoff_seconds * 2.0 ** min(failures - 1, 20))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing

    @asynccontextmanager
    async def turn(self, name: str) -> AsyncIterator[None]:
        """Holds one of the host's connections, at a moment when a request is welcome.

        Raises Blocked once the source is closed, Trouble where the host alone is.
        """
        host = self.host(name)
        async with host.turns:
            while True:
                if (closed := self.closed or host.closed) is not None:
                    raise closed
                now = time.monotonic()
                if now < host.rest_until:
                    await asyncio.sleep(host.rest_until - now + random.uniform(0, 0.05))  # noqa: S311
                    continue
                # A turn is taken only when it has come, so a rest also holds those in the queue.
                if now >= host.next_turn:
                    host.next_turn = now + gap(
                        self.policy.requests_per_second, self.policy.sleep_seconds
                    )
                    break
                await asyncio.sleep(host.next_turn - now)
            yield

    def succeeded(self, name: str, sample: Sample) -> None:
        """The host served what it was asked for."""
        host = self.host(name)
        host.walls, host.sample = 0, sample
        self._served += 1
        self.answered(name)

    def answered(self, name: str) -> None:
        """The host gave an answer of any kind: it does not throttle."""
        host = self.host(name)
        host.throttled_since = None
        host.throttles = 0

    def met(self, trouble: Trouble, name: str, origin: str) -> None:
        """Takes note of a failed request; raises Blocked if it closes the source."""
        if trouble.throttle or trouble.wait is not None:
            self._rest(trouble, name, origin)
        elif not trouble.transient:
            self.answered(name)

    def refused(self, name: str) -> bool:
        """Takes note of a refusal; whether there were so many that the host may refuse everything.

        One that has not served anything must refuse all that was under way, and then as many.
        """
        host = self.host(name)
        if not host.walls:
            host.served_before = self._served
        host.walls += 1
        self.doubtful |= host.sample is None
        return host.walls >= WALLS + (self.policy.concurrency if host.sample is None else 0)

    def shut(self, trouble: Trouble, name: str, origin: str) -> None:
        """The host refuses everything. Raises Blocked, unless other hosts serve meanwhile."""
        host = self.host(name)
        detail = f"refused {host.walls} times in a row: {trouble.detail}"
        if self._served == host.served_before:
            self._close(trouble.reason, detail, origin)
        host.closed = Trouble(trouble.reason, detail, wall=True)

    def _rest(self, trouble: Trouble, name: str, origin: str) -> None:
        host, now = self.host(name), time.monotonic()
        if host.throttled_since is None:
            host.throttled_since = now
        if now >= host.rest_until:  # requests that were under way together count once
            host.throttles += 1
        wait = max(0.1, trouble.wait or 0.0, self.backoff(host.throttles))
        if now + wait - host.throttled_since > self.policy.patience_seconds:
            self._close(
                Reason.THROTTLED,
                f"{trouble.detail}: asks for {wait:.0f} s of rest, more than the "
                f"{self.policy.patience_seconds:.0f} s we wait",
                origin,
            )
        host.rest_until = max(host.rest_until, now + wait)

    def _close(self, reason: Reason, detail: str, origin: str) -> None:
        if self.closed is None:
            self.closed = blocked(reason, detail, origin)
        raise self.closed


class Tries:
    """The attempts at one file; `failed` counts those that were not merely put off."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.failed = 0
        self._failures = 0
        self._spoiled = 0
        self._gained = 0
        self._held_since: float | None = None

    def progress(self, count: int) -> None:
        """`count` bytes came: after enough of them the failures so far are forgotten.

        Not those that spoiled the file: its bytes come anew each time, and would for ever.
        """
        self._gained += count
        self._held_since = None
        if self._gained >= _PROGRESS:
            self._gained = self._failures = 0

    async def after(self, trouble: Trouble) -> None:
        """Waits until another try makes sense; raises `trouble` if none does."""
        self.failed += not trouble.throttle
        if not trouble.transient:
            raise trouble
        if trouble.throttle:
            # The host rests as a whole (see `Limits.turn`); one file that is alone in being
            # refused must not hold its place for ever.
            now = time.monotonic()
            self._held_since = self._held_since or now
            if now - self._held_since > self.limits.policy.patience_seconds:
                raise trouble
            return
        self._gained = 0
        self._failures += 1
        self._spoiled += trouble.spoiled
        most = max(self._failures, self._spoiled)
        if most >= self.limits.policy.attempts:
            raise trouble
        if trouble.wait is None:
            await asyncio.sleep(self.limits.backoff(most))

    async def after_or_raise(self, trouble: Trouble, url: URL) -> None:
        """As `after`, but what is final comes as an error for callers: Blocked or HttpFailure."""
        origin = origin_of(url)
        if trouble.spoiled:
            raise FileChanged(trouble.detail, item=origin, reason=trouble.reason) from None
        try:
            await self.after(trouble)
        except Trouble:
            if trouble.wall or trouble.throttle:
                raise blocked(trouble.reason, trouble.detail, origin) from None
            raise HttpFailure(trouble.detail, item=origin, reason=trouble.reason) from None
