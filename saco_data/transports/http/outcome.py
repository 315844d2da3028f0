"""What an answer, or the lack of one, means. Pure functions: no network, no clock but `now`."""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import aiohttp
from yarl import URL

from saco_data.model.reasons import Reason

_SIGNED = {"x-amz-signature", "x-goog-signature", "signature", "sig", "oe", "oh", "expires"}
_LOGIN = re.compile(
    r"(^|[/_.-])(log-?in|sign-?in|sso|auth|oauth2?|accounts?|session|captcha)\b", re.I
)
_PLACEHOLDER = re.compile(
    r"placeholder|unavailable|not[-_]?found|no[-_]?image|removed|missing", re.I
)
_EXPIRY = re.compile(
    rb"request has expired|expiredtoken|token (has|is) expired"
    rb"|(url|link|signature)[\w ]{0,20}expired|expired[\w ]{0,20}(url|link|signature)"
    rb"|bad url (timestamp|hash)|url signature mismatch",
    re.I,
)
_HTML = re.compile(
    rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.I | re.S
)


class Trouble(Exception):
    """A request that did not bring what it should.

    `transient`: worth another try. `wait`: seconds that the server asked for. `throttle`: it was
    told to come later, which is not the file's fault. `wall`: it met a login page or a refusal.
    `spoiled`: what was already fetched of the file must not be kept.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        *,
        transient: bool = False,
        wait: float | None = None,
        throttle: bool = False,
        wall: bool = False,
        spoiled: bool = False,
    ) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.transient = transient
        self.wait = wait
        self.throttle = throttle
        self.wall = wall
        self.spoiled = spoiled


def address(text: str) -> URL:
    """A URL that can be asked. Raises Trouble for any other."""
    with contextlib.suppress(ValueError):
        url = URL(text)
        if is_usable(url):
            return url
    raise Trouble(Reason.HTTP_ERROR, "not a valid http(s) address")


def is_usable(url: URL) -> bool:
    """Whether there is a host to ask over http(s). Raises ValueError if its name is none."""
    return url.scheme in ("http", "https") and bool(url.host)


def origin_of(url: URL) -> str:
    """A URL without what may be secret in it: query, fragment, user and password."""
    return str(url.with_query(None).with_fragment(None).with_user(None))


def same_place(one: URL, other: URL) -> bool:
    """Whether two URLs are answered by the same host (http and https alike)."""
    return (one.host or "").removeprefix("www.") == (other.host or "").removeprefix("www.") and (
        one.port == other.port or (one.is_default_port() and other.is_default_port())
    )


def is_signed(url: URL) -> bool:
    """Whether a URL carries a signature that runs out."""
    return any(name.lower() in _SIGNED for name in url.query)


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """The seconds to wait that a Retry-After header asks for (seconds or an HTTP date)."""
    if not value:
        return None
    if re.fullmatch(r"\s*\d{1,9}(\.\d+)?\s*", value):
        return float(value)
    try:
        moment = parsedate_to_datetime(value).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0.0, moment - (time.time() if now is None else now))


def is_html(content_type: str, head: bytes) -> bool:
    """Whether a body is a web page, whatever it is called."""
    return content_type in ("text/html", "application/xhtml+xml") or bool(_HTML.match(head))


def words_of(body: bytes) -> str:
    """The server's own words in a refusal, short, with nothing in them that may be secret."""
    text = body[:4096].decode("utf-8", "replace")
    fields = [
        re.search(rf"<{name}>([^<]*)</{name}>", text, re.I) for name in ("Code", "Message", "title")
    ]
    text = ": ".join(match[1] for match in fields if match) or re.sub(r"<[^>]*>", " ", text)
    text = re.sub(r"\?\S*", "", text)
    text = re.sub(r"[\w+/=%~-]{24,}", "(...)", text)
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:160]


def refusal(
    status: int, headers: Mapping[str, str], body: bytes, asked: URL, answered: URL
) -> Trouble:
    """What a status other than 200 and 206 means for the file at `asked`.

    `answered` is where redirects led; `body` the beginning of what it said.
    """
    said = words_of(body)
    detail = f"HTTP {status}" + (f" ({said})" if said else "")
    if not same_place(asked, answered):
        detail += f" from {answered.host}"
    wait = retry_after(headers.get("Retry-After")) or None  # at once would be no rest
    if status in (404, 410):
        # Only the source can say that a file is gone: not the host of some error page, and not a
        # bucket that is missing as a whole.
        if same_place(asked, answered) and b"NoSuchBucket" not in body:
            return Trouble(Reason.HTTP_404 if status == 404 else Reason.HTTP_410, detail)
        return Trouble(Reason.HTTP_ERROR, detail)
    if status == 429:
        return Trouble(Reason.THROTTLED, detail, transient=True, wait=wait, throttle=True)
    if status in (400, 401, 403) and (
        _EXPIRY.search(body) or (status != 400 and is_signed(asked) and same_place(asked, answered))
    ):
        return Trouble(Reason.LINK_EXPIRED, detail, wall=True)
    if status in (401, 403):
        return Trouble(Reason.UNAUTHORIZED, detail, wall=True)
    if status == 503 and wait is not None:
        return Trouble(Reason.SERVER_ERROR, detail, transient=True, wait=wait)
    if status >= 500 or status in (408, 425):
        return Trouble(Reason.SERVER_ERROR, detail, transient=True)
    return Trouble(Reason.HTTP_ERROR, detail)


def not_the_file(asked: URL, answered: URL, content_type: str, head: bytes) -> Trouble | None:
    """A 200 that is a web page or a stand-in instead of the file; None if it may be the file."""
    moved = asked.path != answered.path or not same_place(asked, answered)
    if is_html(content_type, head) and not asked.path.endswith((".html", ".htm", "/")):
        if moved and (_LOGIN.search(answered.path) or _LOGIN.search(answered.host or "")):
            return Trouble(
                Reason.UNAUTHORIZED,
                f"a login page at {answered.host} instead of the file",
                wall=True,
            )
        said = words_of(head)
        return Trouble(
            Reason.NOT_MEDIA,
            "a web page instead of the file" + (f" ({said})" if said else ""),
            transient=True,
        )
    if moved and _PLACEHOLDER.search(answered.name) and not _PLACEHOLDER.search(asked.name):
        return Trouble(
            Reason.NOT_MEDIA, f"redirected to a stand-in named {words_of(answered.name.encode())}"
        )
    return None


def mishap(error: Exception) -> Trouble:
    """What an exception of the HTTP client means. Its text is not repeated: it may hold the URL."""
    if isinstance(error, Trouble):
        return error
    if isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        kind = "connect" if isinstance(error, aiohttp.ConnectionTimeoutError) else "answer"
        return Trouble(Reason.TIMEOUT, f"the server did not {kind} in time", transient=True)
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Trouble(Reason.NETWORK, "the server's certificate is not trusted", transient=True)
    # After the certificate error, which is a ValueError too.
    if isinstance(error, (aiohttp.InvalidURL, ValueError)):
        return Trouble(Reason.HTTP_ERROR, "not a valid http(s) address")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return Trouble(Reason.NETWORK, f"the proxy answered HTTP {error.status}", transient=True)
    if isinstance(error, aiohttp.ClientPayloadError):
        if isinstance(error.__cause__, ConnectionError) or "ConnectionReset" in str(error):
            return Trouble(Reason.NETWORK, "connection reset in mid-body", transient=True)
        return Trouble(
            Reason.SHORT_BODY, "the body ended before its announced length", transient=True
        )
    if isinstance(error, (aiohttp.ClientError, OSError)):
        return Trouble(
            Reason.NETWORK, f"connection failed ({type(error).__name__})", transient=True
        )
    raise error
