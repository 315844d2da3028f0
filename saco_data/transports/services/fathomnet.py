"""Records of FathomNet images, through the official client `fathomnet`.

The client has one `requests` session for all of its modules, without timeout or retry, and raises
ValueError for every error. `RetryingAdapter`, mounted on that session, adds what is missing.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

import fathomnet.api
import requests
from fathomnet.api import images

from saco_data.config.yaml_text import without_user
from saco_data.model.errors import Blocked
from saco_data.model.outside import one_line
from saco_data.model.reasons import Reason, State
from saco_data.transports.base import Failure, Policy
from saco_data.transports.http.circuit_breaker import blocked
from saco_data.transports.http.failure import RequestFailure
from saco_data.transports.http.session import USER_AGENT
from saco_data.transports.services.retrying_adapter import RetryingAdapter

BATCH = 100
_REMEDY = "Check the address, the network and the proxy"
_SAMPLE = 3  # single look-ups that show whether the others are worth a request
# Failures of a batch that a single broken record may cause: then each is asked for alone.
_SINGLY = (Reason.SERVER_ERROR, Reason.HTTP_ERROR, Reason.NOT_MEDIA, Reason.EXTRACTOR_ERROR)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Record:
    """FathomNet's record of an image: sides in pixels, sha256 in hex digits ("" if unknown).

    `contributor`: who gave it, by the address that the record publishes; "" if unknown.
    """

    url: str
    sha256: str = ""
    width: int | None = None
    height: int | None = None
    contributor: str = ""


class FathomNetApi:
    """The API at the URL `root`; a context manager that changes the client's session meanwhile.

    `remedy`: what the user can do where no FathomNet API answers there.

    All look-ups raise Blocked where the source denies or throttles, Failure otherwise.
    """

    def __init__(
        self, root: str, policy: Policy, stop: threading.Event, *, remedy: str = _REMEDY
    ) -> None:
        self.root = root
        self._remedy = remedy
        self._where = without_user(root)
        self._adapter = RetryingAdapter(policy, stop)
        self._has_answered = False  # trust 404 only from a server that has returned a record

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
        """The records of up to `BATCH` images by uuid; a Failure where one record cannot be read.

        An image that is absent from the result does not exist in FathomNet: it was asked for twice.
        One request is enough where all images exist.
        """
        found, singly = self._look_up_batch(uuids)
        absent = [uuid for uuid in uuids if uuid not in found]
        # An answer may be incomplete: an image is absent only if it is also absent the second time.
        while absent and not singly:
            more, singly = self._look_up_batch(absent)
            if not more:
                break
            found.update(more)
            absent = [uuid for uuid in absent if uuid not in more]
        many = len(absent) > len(uuids) // 4
        if many and not singly and self._look_up_singly(absent[:_SAMPLE]):
            found.update(self._look_up_singly(absent))
        return found

    def _look_up_batch(self, uuids: Sequence[str]) -> tuple[dict[str, Record | Failure], bool]:
        """The records, and whether they had to be asked for in one request each."""
        try:
            return dict(self._batch(uuids)), False
        except Failure as failure:
            if failure.reason not in _SINGLY and failure.reason.state is not State.GONE:
                raise
            return self._look_up_singly(uuids), True

    def _batch(self, uuids: Sequence[str]) -> dict[str, Record]:
        records = self._call(lambda: images.find_by_uuid_in_list(list(uuids)))
        wanted = set(uuids)
        named = ((str(each.uuid).lower(), each) for each in records)
        found = {uuid: _record(each) for uuid, each in named if uuid in wanted}
        self._has_answered = self._has_answered or bool(found)
        return found

    def _look_up_singly(self, uuids: Sequence[str]) -> dict[str, Record | Failure]:
        found: dict[str, Record | Failure] = {}
        failures = 0
        for uuid in uuids:
            try:
                found[uuid] = _record(self._call(lambda uuid=uuid: images.find_by_uuid(uuid)))  # type: ignore[misc]
                self._has_answered, failures = True, 0
            except Failure as failure:
                if failure.reason.state is State.GONE:
                    continue
                found[uuid] = failure
                failures += 1
                if failures >= _SAMPLE or failure.reason not in _SINGLY:
                    raise
        if len(found) < len(uuids) and not self._has_answered:
            # The server may not be FathomNet's.
            self._has_answered = self._is_fathomnet()
            if not self._has_answered:
                raise Blocked(
                    "no FathomNet API answers here",
                    item=self._where,
                    remedy=self._remedy,
                    reason=Reason.RAW_MISSING,
                )
        return found

    def _is_fathomnet(self) -> bool:
        """Whether the server is FathomNet's API: only that counts its images."""
        try:
            count = self._call(images.count_all)
        except Failure:
            return False
        return bool(count.count)

    def _call(self, call: Callable[[], T]) -> T:
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
            # The client fails so on an answer of another form.
            detail = f"the client cannot read the answer ({type(error).__name__})"
            raise Failure(detail, item=self._where, reason=Reason.EXTRACTOR_ERROR) from None


def _record(dto: Any) -> Record:
    digest = dto.sha256 or ""
    known = bool(_SHA256.fullmatch(digest))
    contributor = one_line(dto.contributorsEmail or "")[:200]
    sha256 = digest.lower() if known else ""
    return Record(dto.url or "", sha256, dto.width, dto.height, contributor)
