"""Objects from S3, and whether a refusal concerns the keys or a single object."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from pydantic import SecretStr

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Effect, Reason
from saco_data.transports.base import Failure, Policy, Reply, Request
from saco_data.transports.http import Http, RemoteFile
from saco_data.transports.s3 import keys
from saco_data.transports.s3.service import S3Service, split

MAX_DENIALS = 8  # objects refused in a row while nothing shows that the keys are valid


@dataclass(frozen=True, slots=True)
class Document:
    """A small object read whole, and the ETag to ask about it next time."""

    content: bytes
    etag: str


class S3:
    """A client of S3; a context manager.

    Keys: the two given, else the usual boto3 chain (environment, profile, role). Region and
    endpoint come from the usual AWS variables. `remedy` ends the message of every Blocked about
    keys.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        access_key: SecretStr | None = None,
        secret_key: SecretStr | None = None,
        remedy: str = "Renew the AWS keys and run again",
    ) -> None:
        self.remedy = remedy
        if os.environ.get("AWS_MAX_ATTEMPTS") == "1":
            # boto3's variable: a throttled request is then not repeated.
            policy = replace(policy, patience_seconds=0)
        self._http = Http(policy, S3Service(access_key, secret_key))

    def __enter__(self) -> Self:
        self._http.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.__exit__(kind, error, trace)

    def document(self, url: str, etag: str | None = None) -> Document | None:
        """A small object, or None if it still is the one that `etag` names.

        Raises ValueError (not an `s3://` URL), Blocked (keys, throttling), Failure (this object,
        or the network).
        """
        try:
            file = self._open(url, {"If-None-Match": etag} if etag else {})
            found = file.facts.get("etag", "")
            return None if found == etag else Document(b"".join(file.stream()), found)
        except Failure as failure:
            raise self._explain(failure, url) from None

    def head(self, url: str, probe: str = "") -> tuple[int, dict[str, Any]]:
        """Size in bytes and facts of an object.

        Raises as `document` does; with `probe` (see `fetch`), a refusal of this object alone is
        a Failure.
        """
        try:
            file = self._open(url)
        except Failure as failure:
            if failure.reason is Reason.UNAUTHORIZED and probe:
                with contextlib.suppress(Failure):
                    self.head(probe)
                raise failure from None
            raise self._explain(failure, url) from None
        return file.size or 0, dict(file.facts)

    def fetch(
        self, requests: Iterable[Request], probe: str, stop: threading.Event
    ) -> Generator[Reply, None, None]:
        """One reply for each request, as they complete; see `Http.fetch`.

        `probe`: an object that valid keys can always read. After a refused object the probe is
        asked for: if it is refused too, the keys are not valid. Raises Blocked then, and where many
        objects are refused in a row and the probe cannot be reached, and when S3 throttles; files
        that had completed come first. An empty object is a failure.
        """
        urls: dict[str, str] = {}
        closed: Blocked | None = None
        denials = 0

        def drawn() -> Iterator[Request]:
            for request in requests:
                if closed is not None:
                    return
                urls[request.key] = request.url
                yield replace(request, expect=replace(request.expect, least_bytes=1))

        for reply in self._http.fetch(drawn(), stop):
            reply = replace(reply, origin=urls.pop(reply.key))
            try:
                if reply.reason.has(Effect.CLOSE_SOURCE):
                    raise self._blocked(reply.reason, reply.detail, reply.origin)
                denials = self._count_denials(reply, probe, denials)
            except Blocked as error:
                # What is under way may still complete.
                closed = closed or error
                continue
            yield reply
        if closed is not None:
            raise closed

    def _open(self, url: str, headers: Mapping[str, str] | None = None) -> RemoteFile:
        split(url)
        return self._http.open(url, headers=headers)

    def _count_denials(self, reply: Reply, probe: str, denials: int) -> int:
        """The refusals in a row that may be the keys' fault. Raises Blocked if they are."""
        if reply.reason is not Reason.UNAUTHORIZED:
            return 0
        try:
            self.head(probe)
        except Failure:
            # The probe failed for another reason, which says nothing about the keys.
            if denials + 1 < MAX_DENIALS:
                return denials + 1
        else:
            return 0
        raise self._blocked(
            Reason.UNAUTHORIZED,
            f"{MAX_DENIALS} objects in a row refused: {reply.detail}",
            reply.origin,
        )

    def _explain(self, failure: Failure, url: str) -> Exception:
        """The error to raise for a failure that does not concern a single item."""
        if failure.reason is Reason.UNAUTHORIZED:
            # S3 also refuses expired keys with AccessDenied.
            return self._blocked(Reason.CREDENTIALS_EXPIRED, failure.what, url)
        if failure.reason.has(Effect.CLOSE_SOURCE):
            return self._blocked(failure.reason, failure.what, url)
        return failure

    def _blocked(self, reason: Reason, detail: str, url: str) -> Blocked:
        what = {
            Reason.CREDENTIALS_MISSING: "AWS keys are missing",
            Reason.CREDENTIALS_EXPIRED: "the AWS keys are not accepted (expired or revoked?)",
            Reason.UNAUTHORIZED: "S3 refuses access",
            Reason.THROTTLED: "S3 asks for a rest",
        }[reason]
        if reason is Reason.CREDENTIALS_MISSING and (why := keys.explain_missing()):
            detail = why
        remedy = "Run again in an hour" if reason is Reason.THROTTLED else self.remedy
        return Blocked(f"{what}: {detail}", item=url, remedy=remedy, reason=reason)
