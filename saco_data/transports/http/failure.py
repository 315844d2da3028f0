"""A failed HTTP request: what went wrong, and what may be done about it."""

from __future__ import annotations

import asyncio

import aiohttp

from saco_data.model.reasons import Reason
from saco_data.transports.base import Failure


class RequestFailure(Failure):
    """One request did not bring what was asked for.

    `transient`: another attempt may succeed. `wait`: seconds that the server asked for.
    `throttled`: the server asked to come later, which says nothing about the file. `denied`: a
    refusal or a login page, which may concern the whole host. `restart`: the bytes fetched so far
    are of no use, the file must be fetched from its beginning.
    """

    def __init__(
        self,
        what: str,
        *,
        item: str = "",
        remedy: str = "",
        reason: Reason = Reason.HTTP_ERROR,
        transient: bool = False,
        wait: float | None = None,
        throttled: bool = False,
        denied: bool = False,
        restart: bool = False,
    ) -> None:
        super().__init__(what, item=item, remedy=remedy, reason=reason)
        self.transient = transient
        self.wait = wait
        self.throttled = throttled
        self.denied = denied
        self.restart = restart


def failure_of(error: Exception) -> RequestFailure:
    """What an exception of aiohttp means. Its text is left out: it may hold the whole URL."""
    if isinstance(error, RequestFailure):
        return error
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        kind = "connect" if isinstance(error, aiohttp.ConnectionTimeoutError) else "answer"
        return _transient(Reason.TIMEOUT, f"the server did not {kind} in time")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _transient(Reason.NETWORK, "the server's certificate is not trusted")
    # After the certificate error, which is a ValueError too.
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return RequestFailure("not a valid http(s) address", reason=Reason.HTTP_ERROR)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _transient(Reason.NETWORK, f"the proxy answered HTTP {error.status}")
    if isinstance(error, aiohttp.ClientPayloadError):
        if isinstance(error.__cause__, ConnectionError) or "ConnectionReset" in str(error):
            return _transient(Reason.NETWORK, "the connection was reset in mid-body")
        return _transient(Reason.SHORT_BODY, "the body ended before its announced length")
    if isinstance(error, aiohttp.ClientError | OSError):
        return _transient(Reason.NETWORK, f"connection failed ({type(error).__name__})")
    raise error


def _transient(reason: Reason, what: str) -> RequestFailure:
    return RequestFailure(what, reason=reason, transient=True)
