"""What the refusals of S3 and the errors of boto3 mean. Pure functions, no network."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import botocore.exceptions
import urllib3.exceptions
from botocore.exceptions import ClientError, HTTPClientError

from saco_data.model.reasons import Reason
from saco_data.transports.http.failure import RequestFailure
from saco_data.transports.http.outcome import retry_after
from saco_data.transports.s3.keys import UnusableKeys

_EXPIRED = {
    "AuthFailure",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
}
_THROTTLED = {
    "BandwidthLimitExceeded",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "TooManyRequestsException",
}
_CODE = re.compile(rb"<Code>\s*(\w{1,60})\s*</Code>")
_CLOCK_SECONDS = 300  # a clock that is wrong by more is named in the message


def refusal(status: int, headers: Mapping[str, str], body: bytes) -> RequestFailure:
    """The failure behind an error of S3. Only its code is repeated: the text may hold the key."""
    match = _CODE.search(body)
    code = match[1].decode() if match else ""
    detail = f"HTTP {status}" + (f" ({code})" if code else "")
    if code in _EXPIRED:
        return RequestFailure(detail, reason=Reason.CREDENTIALS_EXPIRED)
    if code in _THROTTLED or status == 429 or (status == 503 and not code):
        wait = retry_after(headers.get("Retry-After")) or None
        return RequestFailure(
            detail, reason=Reason.THROTTLED, transient=True, wait=wait, throttled=True
        )
    if status in (401, 403):
        # Not `denied`: whether the keys or this object alone are refused, the client finds out.
        return RequestFailure(detail + _wrong_clock(headers), reason=Reason.UNAUTHORIZED)
    if code == "NoSuchKey" or (status == 404 and not code):
        return RequestFailure(detail, reason=Reason.OBJECT_MISSING)
    if status == 412:
        return RequestFailure(
            f"{detail}: the object changed",
            reason=Reason.WRONG_DIGEST,
            transient=True,
            restart=True,
        )
    if status >= 500 or code == "RequestTimeout":
        return RequestFailure(detail, reason=Reason.SERVER_ERROR, transient=True)
    # A bucket that is missing as a whole says nothing about its objects: they are not "gone".
    return RequestFailure(detail, reason=Reason.HTTP_ERROR)


def failure_of(error: Exception, where: str = "") -> RequestFailure:
    """What an error of boto3 while it signs means. Only its kind is repeated, never its text.

    `where`: the profile, files and variables that boto3 looked at.
    """
    kind = type(error).__name__
    if isinstance(error, ClientError):  # of the service that lends keys to a role
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = re.sub(r"\W", "", str(error.response.get("Error", {}).get("Code", "")))[:60]
        return refusal(status, {}, f"<Code>{code}</Code>".encode())
    is_network = isinstance(
        error,
        botocore.exceptions.ConnectionError
        | HTTPClientError
        | urllib3.exceptions.HTTPError
        | ConnectionError
        | TimeoutError,
    )
    if is_network:
        return RequestFailure(f"connection failed ({kind})", reason=Reason.NETWORK, transient=True)
    what = str(error) if isinstance(error, UnusableKeys) else f"no usable AWS keys ({kind})"
    detail = f"{what}; looked at {where}" if where else what
    return RequestFailure(detail, reason=Reason.CREDENTIALS_MISSING)


def _wrong_clock(headers: Mapping[str, str]) -> str:
    """Says by how much our clock differs from the server's, the usual cause of odd refusals."""
    try:
        ahead = time.time() - parsedate_to_datetime(headers.get("Date", "")).timestamp()
    except (ValueError, OverflowError):
        return ""
    if abs(ahead) < _CLOCK_SECONDS:
        return ""
    side = "ahead of" if ahead > 0 else "behind"
    return f"; the clock of this computer is {abs(ahead) / 60:.0f} minutes {side} the server's"
