"""The request rate of each host, and the circuit breaker: when a host or a source is given up."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from yarl import URL

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.transports.base import Policy
from saco_data.transports.http.failure import RequestFailure
from saco_data.transports.pacing import pause_seconds

MAX_DENIALS = 5  # denials in a row after which a host must prove that it still serves anything
_LONGEST_BACKOFF = 30.0  # seconds

Sample = tuple[URL, Mapping[str, str]]  # something that a host served: its URL and our headers

_REMEDIES = {
    Reason.THROTTLED: "The source asks for a rest: run the same command again later",
    Reason.LINK_EXPIRED: "Get a fresh link and put it in the config",
    Reason.UNAUTHORIZED: "Check the access to this source with `saco doctor`",
}


def blocked(reason: Reason, detail: str, item: str) -> Blocked:
    """The error for a source that needs its user or a rest."""
    return Blocked(detail, item=item, remedy=_REMEDIES[reason], reason=reason)


class Host:
    """The state of one host."""

    def __init__(self, policy: Policy) -> None:
        self.slots = asyncio.Semaphore(policy.concurrency)
        self.next_request_at = 0.0
        self.rest_until = 0.0
        self.throttled_since: float | None = None
        self.throttles = 0
        self.denials = 0  # in a row
        self.served_before = 0  # what the source had served when these denials began
        self.sample: Sample | None = None
        self.open_error: RequestFailure | None = None  # set while the circuit is open


class CircuitBreaker:
    """Request rates and open circuits of one source; lives in the event loop.

    An open circuit lets no request through. `needs_probe`: a host that has served nothing yet
    denies, so that requests further on in the list should be tried before its circuit opens.
    """

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.open_error: Blocked | None = None  # set while the circuit of the source is open
        self.needs_probe = False
        self._hosts: dict[str, Host] = {}
        self._served = 0

    def host(self, name: str) -> Host:
        """The state of a host, new at first."""
        if name not in self._hosts:
            self._hosts[name] = Host(self.policy)
        return self._hosts[name]

    def backoff(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row: doubling, with jitter."""
        longest = min(_LONGEST_BACKOFF, self.policy.backoff_seconds * 2.0 ** min(failures - 1, 20))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311 - not for security

    @asynccontextmanager
    async def slot(self, name: str) -> AsyncIterator[None]:
        """Holds one of the host's connections, from the moment when a request may be sent.

        Raises Blocked while the circuit of the source is open, RequestFailure while only the
        host's is.
        """
        host = self.host(name)
        async with host.slots:
            while True:
                if (error := self.open_error or host.open_error) is not None:
                    raise error
                now = time.monotonic()
                if now < host.rest_until:
                    await asyncio.sleep(host.rest_until - now + random.uniform(0, 0.05))  # noqa: S311
                    continue
                # The time of the request is fixed only now: a rest that begins meanwhile also
                # holds the requests that wait here.
                if now >= host.next_request_at:
                    host.next_request_at = now + pause_seconds(
                        self.policy.requests_per_second, self.policy.sleep_seconds
                    )
                    break
                await asyncio.sleep(host.next_request_at - now)
            yield

    def record_success(self, name: str, sample: Sample) -> None:
        """The host served the whole of what it was asked for."""
        host = self.host(name)
        host.denials, host.sample = 0, sample
        self._served += 1
        self.record_answer(name)

    def record_answer(self, name: str) -> None:
        """The host gave an answer of any kind: it does not throttle."""
        host = self.host(name)
        host.throttled_since = None
        host.throttles = 0

    def record_failure(self, failure: RequestFailure, name: str, origin: str) -> None:
        """Lets the host rest if it asked for that. Raises Blocked if the rest is too long."""
        if failure.throttled or failure.wait is not None:
            self._rest(failure, name, origin)
        elif not failure.transient:
            self.record_answer(name)

    def record_denial(self, name: str) -> bool:
        """Counts a denial; whether there are now so many that the host must be probed.

        A host that has served nothing yet gets as many more as may be under way at once.
        """
        host = self.host(name)
        if not host.denials:
            host.served_before = self._served
        host.denials += 1
        self.needs_probe |= host.sample is None
        extra = self.policy.concurrency if host.sample is None else 0
        return host.denials >= MAX_DENIALS + extra

    def open_circuit(self, failure: RequestFailure, name: str, origin: str) -> None:
        """The host denies everything. Raises Blocked, unless other hosts have served meanwhile."""
        host = self.host(name)
        detail = f"refused {host.denials} times in a row: {failure.what}"
        if self._served == host.served_before:
            self._block(failure.reason, detail, origin)
        host.open_error = RequestFailure(detail, reason=failure.reason, denied=True)

    def _rest(self, failure: RequestFailure, name: str, origin: str) -> None:
        host, now = self.host(name), time.monotonic()
        if host.throttled_since is None:
            host.throttled_since = now
        if now >= host.rest_until:  # requests that were under way together count once
            host.throttles += 1
        wait = max(0.1, failure.wait or 0.0, self.backoff(host.throttles))
        if now + wait - host.throttled_since > self.policy.patience_seconds:
            self._block(
                Reason.THROTTLED,
                f"{failure.what}: asks for {wait:.0f} s of rest, more than the "
                f"{self.policy.patience_seconds:.0f} s we wait",
                origin,
            )
        host.rest_until = max(host.rest_until, now + wait)

    def _block(self, reason: Reason, detail: str, origin: str) -> None:
        if self.open_error is None:
            self.open_error = blocked(reason, detail, origin)
        raise self.open_error
