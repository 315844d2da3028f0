"""URLs: which can be requested, which carry a signature, and what of them may be shown."""

from __future__ import annotations

import contextlib

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


def is_signed(url: URL) -> bool:
    """Whether a URL carries a signature that expires."""
    return any(name.lower() in _SIGNED for name in url.query)
