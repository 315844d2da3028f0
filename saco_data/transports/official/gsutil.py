"""Objects from Google Cloud Storage through the official gsutil, few processes for many files.

`gsutil cp -I` copies two files and exits 0, and `cp` into a folder lets equal base names fall on
each other. So: one `stat` for a batch (size, digests, generation), then one `cat` of just these
generations, cut apart by size as it streams. Every file is compared with its digest before it gets
its name; no exit status is believed, and a slow consumer holds the stream back.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import re
import select
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from saco_data.model.errors import Blocked, UsageError
from saco_data.model.reasons import Reason
from saco_data.storage import files
from saco_data.storage.names import UnsafeName
from saco_data.transports.official import processes

_BATCH = 100
_PIECE = 1 << 18
# Nothing that gsutil would expand or take for a generation: no * ? [ ] # and no blank.
_URL = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,62}(/[\w.,:;=+@!()~-]+)+")
_THROTTLED = re.compile(r"\b(429|503)\b|TooManyRequests|rateLimitExceeded|SlowDown", re.I)
_REFUSED = re.compile(r"\b401\b|\b403\b|AccessDenied|aren't authorized|invalid_grant", re.I)
_MISSING = "No URLs matched: "
_FORBIDDEN = "You aren't authorized to read "


@dataclass(frozen=True, slots=True)
class Request:
    """One object, `url` as `gs://bucket/name`, to fetch into `to`."""

    key: str
    url: str
    to: Path


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a request; with reason OK the file is complete under `path`.

    `facts`: `generation`, `md5`, `crc32c` (as Google writes them), as far as given.
    """

    key: str
    reason: Reason
    detail: str
    path: Path | None
    bytes: int | None
    origin: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Object:
    request: Request
    size: int
    generation: str
    digests: dict[str, str]  # of "md5" and "crc32c", in base64


class _Broken(Exception):
    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Gsutil:
    """Fetches objects with gsutil's own configuration and credentials.

    `root`: the folder (`gs://bucket/folder`) that all objects lie in. `attempts`: tries at one
    file that bring no file. `retries`: what gsutil does by itself about one request (its own 23
    are ten minutes of silence). Raises UsageError where gsutil is not installed.
    """

    def __init__(self, root: str, *, attempts: int = 3, retries: int = 5) -> None:
        options = ["-o", f"Boto:num_retries={retries}", "-o", "Boto:max_retry_delay=16"]
        self.command = [processes.find("gsutil"), *options]
        self.root = root.rstrip("/")
        self.attempts = attempts

    def fetch(self, requests: Iterable[Request], stop: threading.Event) -> Iterator[Reply]:
        """One reply for each request; not more than one file is ahead of the consumer.

        Ends early once `stop` is set. Raises Blocked when gsutil has no access to anything, or is
        throttled.
        """
        source = iter(requests)
        served = False
        while (batch := list(itertools.islice(source, _BATCH))) and not stop.is_set():
            for request in [r for r in batch if not _URL.fullmatch(r.url)]:
                batch.remove(request)
                yield _reply(request, Reason.UNSAFE_NAME, "a name that gsutil would expand")
            objects, refused = self._stat(batch, stop)
            if stop.is_set():
                return
            forbidden = [r for r in refused if r.reason is Reason.UNAUTHORIZED]
            if forbidden and len(forbidden) == len(batch) and not served:
                raise _blocked(Reason.UNAUTHORIZED, forbidden[0].origin)
            if batch and len(refused) == len(batch) and not forbidden and not served:
                self._look_at_root(stop)
            served = served or bool(objects)
            yield from refused
            yield from self._stream(objects, stop)

    def _stat(
        self, batch: list[Request], stop: threading.Event
    ) -> tuple[list[_Object], list[Reply]]:
        """What there is to know of each object; replies for those that cannot be had."""
        left = {request.url: request for request in batch}
        objects: list[_Object] = []
        refused: list[Reply] = []
        trouble = (Reason.NETWORK, "")
        for _ in range(self.attempts):
            if not left or stop.is_set():
                break
            stdout, said = self._captured(["stat", *left], stop)
            for url, text in _sections(stdout):
                if url in left and (found := _parsed(left[url], text)) is not None:
                    objects.append(found)
                    del left[url]
            # A refused object is said to be unmatched as well: refusals come first.
            refused.extend(
                _reply(left.pop(url), Reason.UNAUTHORIZED, "gsutil is not authorised to read it")
                for url in re.findall(rf"{_FORBIDDEN}(\S+) - skipping", said)
                if url in left
            )
            refused.extend(
                _reply(left.pop(url), Reason.OBJECT_MISSING, "No URLs matched")
                for url in re.findall(rf"{_MISSING}(\S+)", said)
                if url in left
            )
            if left:
                trouble = _verdict(said, next(iter(left)))
        refused.extend(_reply(request, *trouble) for request in left.values())
        return objects, refused

    def _look_at_root(self, stop: threading.Event) -> None:
        """Raises Blocked if the folder itself is not there: then no object can be called gone."""
        _, said = self._captured(["ls", "-d", f"{self.root}/"], stop)
        if re.search("matched no objects|BucketNotFound|bucket does not exist", said):
            raise Blocked(
                "there is no such folder of objects",
                item=self.root,
                remedy="Correct `endpoints: droid_gcs` in the config, or remove it",
                reason=Reason.RAW_MISSING,
            )

    def _captured(self, arguments: list[str], stop: threading.Event) -> tuple[str, str]:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with processes.running([*self.command, *arguments], {}, out, err) as process:
                while process.poll() is None and not stop.wait(0.02):
                    pass
            return _text(out), _text(err)

    def _stream(self, objects: list[_Object], stop: threading.Event) -> Iterator[Reply]:
        """The objects, out of as few `cat` processes as their luck allows."""
        tries = 0
        while objects and not stop.is_set():
            before = len(objects)
            urls = [f"{item.request.url}#{item.generation}" for item in objects]
            with (
                tempfile.TemporaryFile() as err,
                processes.running(
                    [*self.command, "-q", "cat", *urls], {}, subprocess.PIPE, err
                ) as process,
            ):
                trouble = None
                while objects and trouble is None:
                    try:
                        reply = _cut(process, objects[0], stop)
                    except UnsafeName as error:
                        trouble = _Broken(Reason.UNSAFE_NAME, str(error))
                    except _Broken as error:
                        trouble = error
                    else:
                        objects.pop(0)
                        yield reply
                if trouble is None or stop.is_set():
                    return
                process.wait() if trouble.reason is Reason.SHORT_BODY else process.kill()
                reason, detail = trouble.reason, trouble.detail
                if reason is Reason.SHORT_BODY and (said := _text(err).strip()):
                    reason, detail = _verdict(said, objects[0].request.url)
            tries = tries + 1 if len(objects) == before else 1
            if tries >= self.attempts or reason in (Reason.UNSAFE_NAME, Reason.NOT_MEDIA):
                yield _reply(objects.pop(0).request, reason, detail)
                tries = 0


def _cut(process: subprocess.Popen[bytes], item: _Object, stop: threading.Event) -> Reply:
    """The next object of the stream, under its final name. Raises _Broken."""
    request = item.request
    if item.size == 0:
        raise _Broken(Reason.NOT_MEDIA, "the object is empty")
    checks = {name: _hasher(name) for name in ("md5", "crc32c") if name in item.digests}
    if "md5" in checks:
        checks.pop("crc32c", None)
    with files.open_atomic(request.to) as file:
        left = item.size
        while left:
            piece = _read(process, min(left, _PIECE), stop)
            left -= len(piece)
            file.write(piece)
            for check in checks.values():
                check.update(piece)
        for name, check in checks.items():
            if base64.b64encode(check.digest()).decode() != item.digests[name]:
                raise _Broken(Reason.WRONG_DIGEST, f"the bytes do not fit their {name}")
    facts = {"generation": item.generation, **item.digests}
    return Reply(request.key, Reason.OK, "", request.to, item.size, request.url, facts)


def _read(process: subprocess.Popen[bytes], count: int, stop: threading.Event) -> bytes:
    assert process.stdout is not None
    handle = process.stdout.fileno()
    while not select.select([handle], [], [], 0.5)[0]:
        if stop.is_set():
            raise _Broken(Reason.NETWORK, "stopped")
    piece = process.stdout.read(count)
    if not piece:
        raise _Broken(Reason.SHORT_BODY, "gsutil ended before the object did")
    return piece


def _hasher(name: str) -> Any:
    if name == "md5":
        return hashlib.md5()
    try:
        from google_crc32c import Checksum
    except ImportError:
        raise UsageError(
            "this source gives CRC32C only", remedy="Install the package google-crc32c"
        ) from None
    return Checksum()  # type: ignore[no-untyped-call]


def _sections(stdout: str) -> Iterator[tuple[str, str]]:
    """The blocks of `gsutil stat`: each begins with `gs://...:` at the margin."""
    blocks = re.split(r"^(gs://\S+):[ \t]*$", stdout, flags=re.MULTILINE)
    return zip(blocks[1::2], blocks[2::2], strict=False)


def _parsed(request: Request, text: str) -> _Object | None:
    lines = dict(re.findall(r"^\s+([\w()-][\w() -]*):\s+(\S+)[ \t]*$", text, flags=re.MULTILINE))
    with contextlib.suppress(KeyError, ValueError):
        digests = {name: lines.get(f"Hash ({name})", "") for name in ("md5", "crc32c")}
        generation = lines["Generation"]
        if generation.isdecimal():
            known = {name: value for name, value in digests.items() if value}
            return _Object(request, int(lines["Content-Length"]), generation, known)
    return None


def _verdict(said: str, url: str) -> tuple[Reason, str]:
    """What the last words of a gsutil that ended early mean. Raises Blocked if not for one file."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    words = re.sub(r"\?\S*", "", lines[-1] if lines else "no word of why")[:200]
    if _THROTTLED.search(words):
        raise _blocked(Reason.THROTTLED, url)
    if _REFUSED.search(words):
        raise _blocked(Reason.UNAUTHORIZED, url)
    if re.search(r"ServiceException|BadRequest|\b5\d\d\b", words):
        return Reason.SERVER_ERROR, f"gsutil: {words}"
    return Reason.NETWORK, f"gsutil: {words}"


def _blocked(reason: Reason, url: str) -> Blocked:
    if reason is Reason.THROTTLED:
        what, remedy = "the bucket asks gsutil for a rest", "Run again in an hour"
    else:
        what = "gsutil is not authorised to read the bucket"
        remedy = "Run `gsutil config`, or correct BOTO_CONFIG or `endpoints: droid_gcs`"
    return Blocked(what, item=url, remedy=remedy, reason=reason)


def _reply(request: Request, reason: Reason, detail: str) -> Reply:
    return Reply(request.key, reason, detail, None, None, request.url)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(16 << 20).decode("utf-8", "replace")
