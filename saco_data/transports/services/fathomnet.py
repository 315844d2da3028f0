"""The client `fathomnet`, made patient: timeouts, retries, pauses, and failures with a reason.

The client has one requests session for all of its modules, without timeout or retry, and raises
ValueError for whatever goes wrong. An adapter mounted on that session does what is missing.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import fathomnet.api
import requests
import stamina
import urllib3.exceptions
from fathomnet.api import images
from requests.adapters import HTTPAdapter
from yarl import URL

from saco_data.config.yaml_text import without_user
from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.storage import untrusted_json
from saco_data.transports.base import Failure
from saco_data.transports.http.addresses import origin_of
from saco_data.transports.http.circuit_breaker import blocked
from saco_data.transports.http.failure import RequestFailure
from saco_data.transports.http.outcome import refusal
from saco_data.transports.http.session import USER_AGENT
from saco_data.transports.pacing import pause_seconds

# Retries are nothing to report, unless somebody listens.
logging.getLogger("stamina").addHandler(logging.NullHandler())

BATCH = 100
_LIMIT = 64 << 20  # bytes of an answer
_ANSWER_SECONDS = 120.0  # for all of an answer
_SAMPLE = 3  # single look-ups that stand for all
# A batch that fails so may still succeed one by one: one record may be what it stumbles over.
_ONE_BY_ONE = (Reason.SERVER_ERROR, Reason.HTTP_ERROR, Reason.NOT_MEDIA, Reason.EXTRACTOR_ERROR)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Record:
    """What FathomNet knows of an image: sides in pixels, sha256 in hex digits, "" where unknown."""

    url: str
    sha256: str = ""
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """All times in seconds; `requests_per_second` 0 for no limit."""

    requests_per_second: float = 0
    sleep_seconds: tuple[float, float] = (0, 0)
    attempts: int = 5
    backoff_seconds: float = 0.5
    connect_timeout: float = 20
    read_timeout: float = 60
    patience_seconds: float = 120


class FathomNetApi:
    """The API below `root`; a context manager that takes over the client's session meanwhile.

    All look-ups raise Blocked where the source refuses or throttles, Failure otherwise.
    """

    def __init__(self, root: str, patience: Patience, stop: threading.Event) -> None:
        self.root = root
        self._where = without_user(root)
        self._adapter = _Patient(patience, stop)
        self._answered = False  # a "no" counts only from one that also says "yes"

    def __enter__(self) -> Self:
        self._before = fathomnet.api.EndpointManager.ROOT
        fathomnet.api.EndpointManager.ROOT = self.root
        fathomnet.api.SESSION.mount(f"{self.root}/", self._adapter)
        fathomnet.api.SESSION.headers["User-Agent"] = USER_AGENT
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        fathomnet.api.SESSION.adapters.pop(f"{self.root}/", None)
        fathomnet.api.EndpointManager.ROOT = self._before
        self._adapter.close()

    def look_up(self, uuids: Sequence[str]) -> dict[str, Record | Failure]:
        """The records of up to `BATCH` images by uuid: one request where all of them are there.

        What is absent does not exist in FathomNet; it was asked for twice. A failure stands where a
        single record cannot be had.
        """
        found, alone = self._together(uuids)
        absent = [uuid for uuid in uuids if uuid not in found]
        # Servers may cut an answer short: what it leaves out must still be out when asked again.
        while absent and not alone:
            more, alone = self._together(absent)
            if not more:
                break
            found.update(more)
            absent = [uuid for uuid in absent if uuid not in more]
        many = len(absent) > len(uuids) // 4
        if many and not alone and self._one_by_one(absent[:_SAMPLE]):
            found.update(self._one_by_one(absent))
        return found

    def _together(self, uuids: Sequence[str]) -> tuple[dict[str, Record | Failure], bool]:
        """What one request brings, and whether it had to be one request for each instead."""
        try:
            return dict(self._batch(uuids)), False
        except Failure as failure:
            if failure.reason not in (*_ONE_BY_ONE, Reason.HTTP_404, Reason.HTTP_410):
                raise
            return self._one_by_one(uuids), True

    def _batch(self, uuids: Sequence[str]) -> dict[str, Record]:
        records = self._asked(lambda: images.find_by_uuid_in_list(list(uuids)))
        wanted = set(uuids)
        named = ((str(each.uuid).lower(), each) for each in records)
        found = {uuid: _record(each) for uuid, each in named if uuid in wanted}
        self._answered = self._answered or bool(found)
        return found

    def _one_by_one(self, uuids: Sequence[str]) -> dict[str, Record | Failure]:
        found: dict[str, Record | Failure] = {}
        failures = 0
        for uuid in uuids:
            try:
                found[uuid] = _record(self._asked(lambda uuid=uuid: images.find_by_uuid(uuid)))  # type: ignore[misc]
                self._answered, failures = True, 0
            except Failure as failure:
                if failure.reason in (Reason.HTTP_404, Reason.HTTP_410):
                    continue
                found[uuid] = failure
                failures += 1
                if failures >= _SAMPLE or failure.reason not in _ONE_BY_ONE:
                    raise
        if len(found) < len(uuids) and not self._answered:
            # It may be another server that knows nothing of FathomNet.
            self._answered = self._stands()
            if not self._answered:
                raise Blocked(
                    "no FathomNet API answers here",
                    item=self._where,
                    remedy="Correct `endpoints: fathomnet_api` in the config, or remove it",
                    reason=Reason.RAW_MISSING,
                )
        return found

    def _stands(self) -> bool:
        """Whether this is FathomNet's API at all: it counts its images."""
        try:
            count = self._asked(images.count_all)
        except Failure:
            return False
        return bool(count.count)

    def _asked(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except RequestFailure as failure:
            if failure.denied or failure.throttled:
                raise blocked(failure.reason, failure.what, self._where) from None
            raise Failure(failure.what, item=self._where, reason=failure.reason) from None
        except requests.RequestException as error:
            detail = f"not a usable address ({type(error).__name__})"
            raise Failure(detail, item=self._where, reason=Reason.HTTP_ERROR) from None
        except (ValueError, TypeError, AttributeError) as error:
            # The client trips over what it does not understand.
            detail = f"the client cannot read the answer ({type(error).__name__})"
            raise Failure(detail, item=self._where, reason=Reason.EXTRACTOR_ERROR) from None


def _record(dto: Any) -> Record:
    digest = dto.sha256 or ""
    known = bool(_SHA256.fullmatch(digest))
    return Record(dto.url or "", digest.lower() if known else "", dto.width, dto.height)


class _Patient(HTTPAdapter):
    """Sends a request until there is a whole JSON answer. Raises RequestFailure."""

    def __init__(self, patience: Patience, stop: threading.Event) -> None:
        super().__init__()
        self.patience = patience
        self.stop = stop
        self._not_before = 0.0

    def send(self, request: requests.PreparedRequest, *_: Any, **options: Any) -> Any:
        options["stream"] = True
        options["timeout"] = (self.patience.connect_timeout, self.patience.read_timeout)
        for attempt in stamina.retry_context(
            on=self._again,
            attempts=self.patience.attempts,
            timeout=self.patience.patience_seconds,
            wait_initial=self.patience.backoff_seconds,
            wait_max=15,
            wait_jitter=self.patience.backoff_seconds,
        ):
            with attempt:
                self._pause()
                return self._once(request, options)
        raise AssertionError("stamina returns or raises")

    def _again(self, error: Exception) -> bool | float:
        if not isinstance(error, RequestFailure) or not error.transient or self.stop.is_set():
            return False
        if error.wait is not None:
            return error.wait if error.wait <= self.patience.patience_seconds else False
        return True

    def _pause(self) -> None:
        self.stop.wait(max(0.0, self._not_before - time.monotonic()))
        pause = pause_seconds(self.patience.requests_per_second, self.patience.sleep_seconds)
        self._not_before = time.monotonic() + pause

    def _once(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        asked = URL(str(request.url))
        try:
            response = super().send(request, **options)
            with response:
                body = _whole(response)
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
            return response
        try:
            untrusted_json.parse(body)
        except ValueError:
            detail = f"something other than JSON at {origin_of(asked)}"
            raise RequestFailure(detail, reason=Reason.NOT_MEDIA, transient=True) from None
        # What the property `content` keeps once it was read; reading it there has no limits.
        response._content = body
        return response


def _whole(response: requests.Response) -> bytes:
    deadline = time.monotonic() + _ANSWER_SECONDS
    body = bytearray()
    # A read of the socket at a time: a piece of a given length may take for ever to fill.
    while piece := response.raw.read1(1 << 16, decode_content=True):
        body += piece
        if len(body) > _LIMIT:
            raise RequestFailure(f"more than {_LIMIT:,} bytes", reason=Reason.HTTP_ERROR)
        if time.monotonic() > deadline:
            raise RequestFailure("the answer takes for ever", reason=Reason.TIMEOUT, transient=True)
    return bytes(body)
