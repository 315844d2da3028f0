"""Objects from S3 with boto3: resumed where they broke, the same version to the last byte.

While an object is under way it lies beside its final name as `.<name>.part`, with what the server
said of it (ETag, version, size) in `.<name>.part.json`; a killed run goes on from there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3.session
import urllib3.exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, PartialCredentialsError
from pydantic import SecretStr

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Effect, Reason
from saco_data.storage.names import UnsafeName
from saco_data.transports.pacing import gap
from saco_data.transports.s3.outcome import Failure, failure_of
from saco_data.transports.s3.part import Part, Request, facts_of

_PIECE = 1 << 18
_PROGRESS = 1 << 20  # so many new bytes make the failures before them forgotten
_REFUSALS = 8  # objects refused in a row, and nothing says that the keys are valid
_URL = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9._-]{1,62})/(?P<key>.{1,1024})", re.DOTALL)


class _Stopped(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a request; with reason OK the file is complete under `path`.

    `facts`: `etag`, `version_id`, `last_modified`, as far as the server gave them.
    """

    key: str
    reason: Reason
    detail: str
    path: Path | None
    bytes: int | None
    origin: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """A small object read whole, and the ETag to ask about it next time."""

    content: bytes
    etag: str


def split(url: str) -> tuple[str, str]:
    """Bucket and key of an `s3://` URL. Raises ValueError."""
    match = _URL.fullmatch(url)
    if match is None:
        raise ValueError(f"not of the form s3://bucket/key: {url[:200]!r}")
    return match["bucket"], match["key"]


class S3:
    """A client that keeps to `concurrency` objects at once and starts at most so many a second.

    `sleep_seconds`: least and longest pause before the next one.

    Keys: the two given, else the usual boto3 chain (environment, profile, role). Region and
    endpoint come from the usual AWS variables. `remedy` ends the message of every Blocked;
    `backoff_seconds` is the first wait after a connection broke in mid-body, it doubles up to 30.
    """

    def __init__(
        self,
        *,
        access_key: SecretStr | None = None,
        secret_key: SecretStr | None = None,
        concurrency: int = 4,
        requests_per_second: float = 0,
        sleep_seconds: tuple[float, float] = (0, 0),
        attempts: int = 5,
        backoff_seconds: float = 0.5,
        remedy: str = "Renew the AWS keys and run again",
    ) -> None:
        self.concurrency = concurrency
        self.pace = (requests_per_second, sleep_seconds)
        self.attempts = attempts
        self.backoff_seconds = backoff_seconds
        self.remedy = remedy
        self._keys = (access_key, secret_key)
        self._made: Any = None
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def document(self, url: str, etag: str | None = None) -> Document | None:
        """A small object, or None if it still is the one that `etag` names.

        Raises Blocked (keys, throttling) or Failure (this object, or the network).
        """
        bucket, key = split(url)
        condition = {"IfNoneMatch": etag} if etag else {}
        try:
            answer = self._client().get_object(Bucket=bucket, Key=key, **condition)
            return Document(answer["Body"].read(), answer["ETag"])
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 304:
                return None
            raise self._raised(failure_of(error), url) from None
        except (BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
            raise self._raised(failure_of(error), url) from None

    def head(self, url: str, probe: str = "") -> tuple[int, dict[str, Any]]:
        """Size in bytes and facts of an object.

        Raises as `document` does; with `probe` (see `fetch`), a refusal of this object alone is
        a Failure.
        """
        bucket, key = split(url)
        try:
            answer = self._client().head_object(Bucket=bucket, Key=key)
        except (ClientError, BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
            failure = failure_of(error)
            if failure.reason is Reason.UNAUTHORIZED and probe:
                with contextlib.suppress(Failure):
                    self.head(probe)
                raise failure from None
            raise self._raised(failure, url) from None
        return int(answer["ContentLength"]), facts_of(answer)

    def fetch(
        self, requests: Iterable[Request], probe: str, stop: threading.Event
    ) -> Iterator[Reply]:
        """One reply for each request, as they come.

        At most `concurrency` objects are under way or fetched and not yet taken. An object that is
        refused makes it look at `probe`, an object that valid keys can always read: refused too,
        it is the keys. Raises Blocked then, where many are refused and the probe cannot be had, and
        when S3 throttles; what has arrived comes first. Ends early once `stop` is set.
        """
        self._stop.clear()
        source = iter(requests)
        pending: set[Future[Reply]] = set()
        ready: list[Future[Reply]] = []
        closed: Blocked | None = None
        refused = 0
        with ThreadPoolExecutor(self.concurrency, thread_name_prefix="s3") as pool:
            try:
                while True:
                    while (
                        closed is None
                        and not stop.is_set()
                        and len(pending) + len(ready) < self.concurrency
                    ):
                        request = next(source, None)
                        if request is None:
                            break
                        pending.add(pool.submit(self._one, request))
                        stop.wait(gap(*self.pace))
                    while not ready and pending and not stop.is_set():
                        done, pending = wait(pending, 0.5, return_when=FIRST_COMPLETED)
                        ready.extend(done)
                    if not ready:
                        break
                    try:
                        reply = ready.pop(0).result()
                        is_refused = reply.reason is Reason.UNAUTHORIZED
                        refused = self._judge(reply, probe, refused) if is_refused else 0
                    except _Stopped:
                        continue
                    except Blocked as error:
                        closed = closed or error
                        self._stop.set()
                        continue
                    yield reply
            finally:
                self._stop.set()
        if closed is not None:
            raise closed

    def _judge(self, reply: Reply, probe: str, refused: int) -> int:
        """The refusals in a row that are in doubt; raises Blocked if it is not the objects."""
        try:
            self.head(probe)
        except Failure:
            # Trouble on the way to the probe says nothing about the keys.
            if refused + 1 < _REFUSALS:
                return refused + 1
        else:
            return 0
        raise self._blocked(
            Reason.UNAUTHORIZED,
            f"{_REFUSALS} objects in a row refused: {reply.detail}",
            reply.origin,
        )

    def _raised(self, failure: Failure, url: str) -> Exception:
        """What to raise for a failure that concerns no single item."""
        if failure.reason is Reason.UNAUTHORIZED:
            # HEAD has no body to tell an expired key from one without rights.
            return self._blocked(Reason.CREDENTIALS_EXPIRED, failure.detail, url)
        if failure.reason.has(Effect.CLOSE_SOURCE):
            return self._blocked(failure.reason, failure.detail, url)
        return failure

    def _blocked(self, reason: Reason, detail: str, url: str) -> Blocked:
        what = {
            Reason.CREDENTIALS_MISSING: "AWS keys are missing",
            Reason.CREDENTIALS_EXPIRED: "the AWS keys are not accepted (expired or revoked?)",
            Reason.UNAUTHORIZED: "S3 refuses access",
            Reason.THROTTLED: "S3 asks for a rest",
        }[reason]
        remedy = "Run again in an hour" if reason is Reason.THROTTLED else self.remedy
        return Blocked(f"{what}: {detail}", item=url, remedy=remedy, reason=reason)

    def _part_size(self, url: str) -> int | None:
        """Bytes of the first part of a multipart object, None if the server does not say."""
        bucket, key = split(url)
        try:
            answer = self._client().head_object(Bucket=bucket, Key=key, PartNumber=1)
        except (ClientError, BotoCoreError, urllib3.exceptions.HTTPError, OSError):
            return None
        return int(answer["ContentLength"]) if answer.get("PartsCount") else None

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._connect()
            return self._made

    def _connect(self) -> Any:
        for name in ("boto3", "botocore", "urllib3"):
            # Their debug lines hold signed headers.
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.INFO))
        retries: dict[str, Any] = {"mode": "adaptive"}
        if "AWS_MAX_ATTEMPTS" not in os.environ:
            retries["total_max_attempts"] = 6
        access, secret = (key.get_secret_value() if key else None for key in self._keys)
        if bool(access) != bool(secret):
            given = "aws_access_key_id" if access else "aws_secret_access_key"
            raise PartialCredentialsError(provider="config", cred_var=f"only {given}")
        session = boto3.session.Session(aws_access_key_id=access, aws_secret_access_key=secret)
        config = Config(
            connect_timeout=20,
            read_timeout=60,
            retries=retries,
            max_pool_connections=self.concurrency + 2,
        )
        return session.client("s3", config=config)

    def _one(self, request: Request) -> Reply:
        """Fetches one object. Raises Blocked, DiskFull or OutputError, which end the source."""
        try:
            size, facts = self._resumed(request)
        except UnsafeName as error:
            return _refused(request, Failure(Reason.UNSAFE_NAME, str(error)))
        except Failure as failure:
            if failure.reason.has(Effect.CLOSE_SOURCE):
                raise self._blocked(failure.reason, failure.detail, request.url) from None
            return _refused(request, failure)
        return Reply(request.key, Reason.OK, "", request.to, size, request.url, facts)

    def _resumed(self, request: Request) -> tuple[int, dict[str, Any]]:
        """The object under its final name, after as many tries as make sense."""
        part = Part(request)
        tries = 0
        while True:
            before = part.size()
            try:
                self._pull(request, part)
                part.check(self._part_size)
                return part.finish()
            except (Failure, ClientError, BotoCoreError, urllib3.exceptions.HTTPError) as error:
                failure = failure_of(error)
            if failure.reason is Reason.WRONG_DIGEST:
                part.discard()
            if not failure.transient:
                raise failure
            tries = tries + 1 if part.size() - before < _PROGRESS else 1
            if tries >= self.attempts:
                raise failure
            if self._stop.wait(min(30.0, self.backoff_seconds * 2**tries)):
                raise _Stopped

    def _pull(self, request: Request, part: Part) -> None:
        """Appends to the part what is still missing of it."""
        if self._stop.is_set():
            raise _Stopped
        bucket, key = split(request.url)
        offset = part.offset()
        wanted = {"Range": f"bytes={offset}-", "IfMatch": part.etag} if offset else {}
        answer = self._client().get_object(Bucket=bucket, Key=key, **wanted)
        if offset == 0:
            part.begin(answer)
        elif not str(answer.get("ContentRange", "")).startswith(f"bytes {offset}-"):
            raise Failure(Reason.WRONG_DIGEST, "another range than asked for", transient=True)
        with contextlib.closing(answer["Body"]) as body, part.open(offset) as write:
            pieces = body.iter_chunks(_PIECE)
            while (piece := _next(pieces)) is not None:
                if self._stop.is_set():
                    raise _Stopped
                write(piece)


def _next(pieces: Iterator[bytes]) -> bytes | None:
    """The next piece of a body, None at its end; what goes wrong there is the network's."""
    try:
        return next(pieces, None)
    except OSError as error:
        raise failure_of(error) from None


def _refused(request: Request, failure: Failure) -> Reply:
    return Reply(request.key, failure.reason, failure.detail, None, None, request.url)
