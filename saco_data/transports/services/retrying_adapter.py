"""An adapter for `requests`: time limits, retries, a request rate, and failures with a reason."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import Any

import requests
import stamina
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from yarl import URL

from saco_data.model.reasons import Reason
from saco_data.model.safe_logging import guard
from saco_data.storage import untrusted_json
from saco_data.transports.base import Policy
from saco_data.transports.http.addresses import check_target, origin_of
from saco_data.transports.http.failure import RequestFailure
from saco_data.transports.http.outcome import refusal
from saco_data.transports.pacing import pause_seconds

# Without a handler, Python prints stamina's notes of retries to stderr.
logging.getLogger("stamina").addHandler(logging.NullHandler())
guard("urllib3.connectionpool", "urllib3.util.retry")

_LIMIT = 64 << 20  # bytes of an answer
_ANSWER_SECONDS = 120.0  # for a whole answer


class RetryingAdapter(HTTPAdapter):
    """Repeats a request until a whole JSON answer has arrived. Raises RequestFailure."""

    def __init__(self, policy: Policy, stop: threading.Event) -> None:
        super().__init__()
        self.policy = policy
        self.stop = stop
        self._next_request_at = 0.0

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> Any:
        """The answer to a request of the client. Raises RequestFailure."""
        options["stream"] = True
        options["timeout"] = (self.policy.connect_timeout, self.policy.stall_timeout)
        for attempt in stamina.retry_context(
            on=self._is_retried,
            attempts=self.policy.attempts,
            timeout=self.policy.patience_seconds,
            wait_initial=self.policy.backoff_seconds,
            wait_max=15,
            wait_jitter=self.policy.backoff_seconds,
        ):
            with attempt:
                self._pause()
                return self._once(request, options)
        raise AssertionError("stamina returns or raises")

    def _is_retried(self, error: Exception) -> bool | float:
        if not isinstance(error, RequestFailure) or not error.transient or self.stop.is_set():
            return False
        if error.wait is not None:
            return error.wait if error.wait <= self.policy.patience_seconds else False
        return True

    def _pause(self) -> None:
        self.stop.wait(max(0.0, self._next_request_at - time.monotonic()))
        pause = pause_seconds(self.policy.requests_per_second, self.policy.sleep_seconds)
        self._next_request_at = time.monotonic() + pause

    def _once(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        asked = URL(str(request.url))
        try:
            response = super().send(request, **options)
            with response:
                body = _read_body(response)
        except requests.exceptions.ConnectTimeout:
            raise RequestFailure(
                "no connection in time", reason=Reason.TIMEOUT, transient=True
            ) from None
        except requests.exceptions.Timeout:
            raise RequestFailure(
                "no answer in time", reason=Reason.TIMEOUT, transient=True
            ) from None
        except urllib3.exceptions.ReadTimeoutError:
            raise RequestFailure(
                "the answer stalls", reason=Reason.TIMEOUT, transient=True
            ) from None
        except urllib3.exceptions.HTTPError:
            raise RequestFailure(
                "the answer was cut", reason=Reason.SHORT_BODY, transient=True
            ) from None
        except (requests.exceptions.ConnectionError, OSError) as error:
            detail = f"connection failed ({type(error).__name__})"
            raise RequestFailure(detail, reason=Reason.NETWORK, transient=True) from None
        if response.status_code >= 400:
            raise refusal(response.status_code, response.headers, body, asked, asked)
        if response.is_redirect:
            with contextlib.suppress(ValueError):
                check_target(asked, asked.join(URL(response.headers["Location"])))
            return response
        try:
            untrusted_json.parse(body)
        except ValueError:
            detail = f"the answer is not JSON, from {origin_of(asked)}"
            raise RequestFailure(detail, reason=Reason.NOT_MEDIA, transient=True) from None
        # Where the property `content` keeps the body. Its own reading is not bounded.
        response._content = body
        return response


def _read_body(response: requests.Response) -> bytes:
    """The body of an answer, bounded in size and time."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    body = bytearray()
    # One read of the socket at a time: to fill a piece of a given length may take without end.
    while piece := response.raw.read1(1 << 16, decode_content=True):
        body += piece
        if len(body) > _LIMIT:
            raise RequestFailure(f"more than {_LIMIT:,} bytes", reason=Reason.HTTP_ERROR)
        if time.monotonic() > deadline:
            raise RequestFailure(
                f"the answer took more than {_ANSWER_SECONDS:.0f} s",
                reason=Reason.TIMEOUT,
                transient=True,
            )
    return bytes(body)
