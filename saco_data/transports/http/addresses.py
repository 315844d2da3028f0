"""URLs: which can be requested, which carry a signature, and what of them may be shown."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

from yarl import URL

from saco_data.model.reasons import Reason
from saco_data.transports.http.failure import RequestFailure

_SIGNED = {"x-amz-signature", "x-goog-signature", "signature", "sig", "oe", "oh", "expires"}


def parse_address(text: str) -> URL:
    """The URL of a file on a web server. Raises RequestFailure unless it is http(s) with a host."""
    with contextlib.suppress(ValueError):
        url = URL(text)
        if is_usable(url):
            return url
    raise RequestFailure("not a valid http(s) address", reason=Reason.HTTP_ERROR)


def is_usable(url: URL) -> bool:
    """Whether a URL names a host to ask over http(s). Raises ValueError for a malformed host."""
    return url.scheme in ("http", "https") and bool(url.host)


def origin_of(url: URL) -> str:
    """A URL without the parts that may be secret: query, fragment, user and password."""
    return str(url.with_query(None).with_fragment(None).with_user(None))


def is_same_host(one: URL, other: URL) -> bool:
    """Whether two URLs are answered by the same host (http and https alike)."""
    return (one.host or "").removeprefix("www.") == (other.host or "").removeprefix("www.") and (
        one.port == other.port or (one.is_default_port() and other.is_default_port())
    )


def leads_inside(url: URL) -> bool:
    """Whether a URL names this machine or a private or link-local address, as a name or number.

    A name that a resolver leads there does not count: institutions have mirrors of that kind.
    """
    host = (url.host or "").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    with contextlib.suppress(ValueError):
        number = ipaddress.ip_address(host)
        inner = getattr(number, "ipv4_mapped", None) or number
        return not inner.is_global
    with contextlib.suppress(OSError):
        # Other ways to write an IPv4 address, which a resolver understands: 127.1, 0x7f000001.
        if host[:1].isdecimal():
            return not ipaddress.ip_address(socket.inet_aton(host)).is_global
    return False


def check_target(asked: URL, target: URL) -> None:
    """Raises RequestFailure where a public server names an address inside our own network.

    What answers there is not the source, and may be a service that trusts this machine. An address
    in the config may be inside; so may what a server inside names.
    """
    if leads_inside(target) and not leads_inside(asked):
        raise RequestFailure(
            "led to an address inside this network, which is not asked", reason=Reason.HTTP_ERROR
        )


def is_signed(url: URL) -> bool:
    """Whether a URL carries a signature that expires."""
    return any(name.lower() in _SIGNED for name in url.query)
