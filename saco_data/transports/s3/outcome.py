"""What the errors of boto3 mean. Pure: no network."""

from __future__ import annotations

import re

import urllib3.exceptions
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConfigNotFound,
    ConfigParseError,
    ConnectionError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from saco_data.model.reasons import Reason

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
    "429",
    "503",
    "BandwidthLimitExceeded",
    "RequestLimitExceeded",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "TooManyRequestsException",
}
_NO_KEYS = (
    ConfigNotFound,
    ConfigParseError,
    CredentialRetrievalError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)


class Failure(Exception):
    """What S3, or the way to it, said instead of giving the object. `detail` holds no secret."""

    def __init__(self, reason: Reason, detail: str, *, transient: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.transient = transient


def failure_of(error: Exception) -> Failure:
    """What an exception of boto3 means. Only its code is repeated, never its text."""
    if isinstance(error, Failure):
        return error
    if isinstance(error, _NO_KEYS):
        return Failure(Reason.CREDENTIALS_MISSING, f"no usable AWS keys ({type(error).__name__})")
    if isinstance(error, ClientError):
        return _refusal(error)
    if isinstance(error, (ConnectTimeoutError, ReadTimeoutError)):
        return Failure(Reason.TIMEOUT, "the server did not answer in time", transient=True)
    if isinstance(error, (ConnectionError, HTTPClientError, urllib3.exceptions.HTTPError, OSError)):
        return Failure(
            Reason.NETWORK, f"connection failed ({type(error).__name__})", transient=True
        )
    if isinstance(error, FlexibleChecksumError):
        return Failure(Reason.WRONG_DIGEST, "the bytes do not fit their checksum", transient=True)
    if isinstance(error, IncompleteReadError):
        return Failure(Reason.SHORT_BODY, "the answer ended early", transient=True)
    if isinstance(error, BotoCoreError):
        return Failure(Reason.HTTP_ERROR, f"boto3 gave up ({type(error).__name__})")
    raise error


def _refusal(error: ClientError) -> Failure:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = re.sub(r"\W", "", str(error.response.get("Error", {}).get("Code", "")))[:60]
    detail = f"HTTP {status} ({code})"
    if code in _EXPIRED:
        return Failure(Reason.CREDENTIALS_EXPIRED, detail)
    if code in _THROTTLED:
        return Failure(Reason.THROTTLED, detail)
    if status in (401, 403) or code == "400":  # HEAD: an expired token, with no body to say so
        return Failure(Reason.UNAUTHORIZED, detail)
    if code == "NoSuchKey" or (status == 404 and code in ("404", "NotFound")):
        return Failure(Reason.OBJECT_MISSING, detail)
    if status in (412, 416):
        return Failure(Reason.WRONG_DIGEST, f"{detail}: changed while it came", transient=True)
    if status >= 500:
        return Failure(Reason.SERVER_ERROR, detail)  # boto3 has retried it
    # A bucket that is missing as a whole says nothing about its objects: not "gone".
    return Failure(Reason.HTTP_ERROR, detail)
