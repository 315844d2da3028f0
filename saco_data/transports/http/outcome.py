"""What an HTTP answer means for the file that was asked for. Pure functions, no network."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from yarl import URL

from saco_data.model.reasons import Reason
from saco_data.transports.http.addresses import is_same_host, is_signed
from saco_data.transports.http.failure import RequestFailure

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
    """Whether a body is a web page, by its type or its first bytes."""
    return content_type in ("text/html", "application/xhtml+xml") or bool(_HTML.match(head))


def words_of(body: bytes) -> str:
    """The server's own words in an error page: at most 160 characters, without secrets."""
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
) -> RequestFailure:
    """The failure behind an answer with a status other than 200 and 206.

    `asked`: the URL of the file; `answered`: where redirects led; `body`: the first bytes of the
    answer.
    """
    said = words_of(body)
    detail = f"HTTP {status}" + (f" ({said})" if said else "")
    if not is_same_host(asked, answered):
        detail += f" from {answered.host}"
    wait = retry_after(headers.get("Retry-After")) or None  # 0 seconds would not be a wait
    if status in (404, 410):
        # Only the file's own host can say that it is gone, not the host of an error page. A bucket
        # that is missing as a whole says nothing about its files.
        if is_same_host(asked, answered) and b"NoSuchBucket" not in body:
            return RequestFailure(
                detail, reason=Reason.HTTP_404 if status == 404 else Reason.HTTP_410
            )
        return RequestFailure(detail, reason=Reason.HTTP_ERROR)
    if status == 429:
        return RequestFailure(
            detail, reason=Reason.THROTTLED, transient=True, wait=wait, throttled=True
        )
    if status in (400, 401, 403) and (
        _EXPIRY.search(body)
        or (status != 400 and is_signed(asked) and is_same_host(asked, answered))
    ):
        return RequestFailure(detail, reason=Reason.LINK_EXPIRED, denied=True)
    if status in (401, 403):
        return RequestFailure(detail, reason=Reason.UNAUTHORIZED, denied=True)
    if status == 412:
        return RequestFailure(
            "the file changed on the server",
            reason=Reason.SERVER_ERROR,
            transient=True,
            restart=True,
        )
    if status == 503 and wait is not None:
        return RequestFailure(detail, reason=Reason.SERVER_ERROR, transient=True, wait=wait)
    if status >= 500 or status in (408, 425):
        return RequestFailure(detail, reason=Reason.SERVER_ERROR, transient=True)
    return RequestFailure(detail, reason=Reason.HTTP_ERROR)


def not_the_file(
    asked: URL, answered: URL, content_type: str, head: bytes
) -> RequestFailure | None:
    """The failure behind a 200 that is a web page or a placeholder; None if it may be the file."""
    moved = asked.path != answered.path or not is_same_host(asked, answered)
    if is_html(content_type, head) and not asked.path.endswith((".html", ".htm", "/")):
        if moved and (_LOGIN.search(answered.path) or _LOGIN.search(answered.host or "")):
            return RequestFailure(
                f"a login page at {answered.host} instead of the file",
                reason=Reason.UNAUTHORIZED,
                denied=True,
            )
        said = words_of(head)
        return RequestFailure(
            "a web page instead of the file" + (f" ({said})" if said else ""),
            reason=Reason.NOT_MEDIA,
            transient=True,
        )
    if moved and _PLACEHOLDER.search(answered.name) and not _PLACEHOLDER.search(asked.name):
        return RequestFailure(
            f"redirected to a placeholder named {words_of(answered.name.encode())}",
            reason=Reason.NOT_MEDIA,
        )
    return None
