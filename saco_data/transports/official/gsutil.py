"""Objects from Google Cloud Storage through the official gsutil, few processes for many files.

`gsutil cp -I` copies two files at a time and exits with 0 whatever happened, and `cp` into a folder
overwrites files of equal base names. So a batch takes two processes: `stat` for sizes, digests and
generations, then `cat` of exactly these generations, whose output is split by size as it streams.
Every file is compared with its digest before it gets its name; the exit status is not used. A slow
consumer holds the stream back.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
import select
import subprocess
import tempfile
import threading
from collections.abc import Generator, Iterable, Iterator
from typing import IO, Any

from saco_data.model.errors import Blocked, UsageError
from saco_data.model.reasons import Reason
from saco_data.storage import files
from saco_data.storage.names import UnsafeName
from saco_data.transports.base import Failure, Reply, Request, Stopped
from saco_data.transports.official import processes
from saco_data.transports.official.gsutil_output import (
    Described,
    blocked,
    failure_behind,
    read_descriptions,
    read_refusals,
    refused,
)

_BATCH = 100
_PIECE = 1 << 18
# Nothing that gsutil would expand or take for a generation: no * ? [ ] # and no blank.
_URL = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,62}(/[\w.,:;=+@!()~-]+)+")
# Another attempt would end in the same way.
_FINAL = (Reason.UNSAFE_NAME, Reason.NOT_MEDIA)


class Gsutil:
    """Fetches objects with gsutil's own configuration and credentials.

    `root`: the folder (`gs://bucket/folder`) that holds all objects. `attempts` for each file.
    `retries`: what gsutil does by itself for one request (its default of 23 is ten minutes of
    silence). Raises UsageError where gsutil is not installed.
    """

    def __init__(self, root: str, *, attempts: int = 3, retries: int = 5) -> None:
        options = ["-o", f"Boto:num_retries={retries}", "-o", "Boto:max_retry_delay=16"]
        self.command = [processes.find("gsutil"), *options]
        self.root = root.rstrip("/")
        self.attempts = attempts

    def fetch(
        self, requests: Iterable[Request], stop: threading.Event
    ) -> Generator[Reply, None, None]:
        """One reply for each request (`url` as `gs://bucket/name`), in their order.

        At most one file is ahead of the consumer. `facts`: `generation`, `md5`, `crc32c` as Google
        writes them. Ends early once `stop` is set. Raises Blocked when gsutil has access to
        nothing, or is throttled.
        """
        source = iter(requests)
        has_served = False
        while (batch := list(itertools.islice(source, _BATCH))) and not stop.is_set():
            for request in [each for each in batch if not _URL.fullmatch(each.url)]:
                batch.remove(request)
                yield refused(request, Reason.UNSAFE_NAME, "a name that gsutil would expand")
            described, refusals = self._describe(batch, stop)
            if stop.is_set():
                return
            if batch and len(refusals) == len(batch) and not has_served:
                self._check_access(refusals, stop)
            has_served = has_served or bool(described)
            yield from refusals
            yield from self._stream(described, stop)

    def _describe(
        self, batch: list[Request], stop: threading.Event
    ) -> tuple[list[Described], list[Reply]]:
        """Descriptions of the objects, and replies for those that cannot be fetched."""
        left = {request.url: request for request in batch}
        described: list[Described] = []
        refusals: list[Reply] = []
        failure = Failure("", reason=Reason.NETWORK)
        for _ in range(self.attempts):
            if not left or stop.is_set():
                break
            stdout, stderr = self._run(["stat", *left], stop)
            described += read_descriptions(stdout, left)
            refusals += read_refusals(stderr, left)
            if left:
                failure = failure_behind(stderr, next(iter(left)))
        refusals += [refused(request, failure.reason, failure.what) for request in left.values()]
        return described, refusals

    def _check_access(self, refusals: list[Reply], stop: threading.Event) -> None:
        """Raises Blocked if all objects fail for a reason that is not theirs.

        Without access, or without the folder itself, no object can be called gone.
        """
        denied = [reply for reply in refusals if reply.reason is Reason.UNAUTHORIZED]
        if len(denied) == len(refusals):
            raise blocked(Reason.UNAUTHORIZED, denied[0].origin)
        if denied:
            return
        _, stderr = self._run(["ls", "-d", f"{self.root}/"], stop)
        if re.search("matched no objects|BucketNotFound|bucket does not exist", stderr):
            raise Blocked(
                "there is no such folder of objects",
                item=self.root,
                remedy="Correct `endpoints: droid_gcs` in the config, or remove it",
                reason=Reason.RAW_MISSING,
            )

    def _run(self, arguments: list[str], stop: threading.Event) -> tuple[str, str]:
        """What gsutil prints to stdout and stderr."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with processes.running([*self.command, *arguments], {}, out, err) as process:
                while process.poll() is None and not stop.wait(0.02):
                    pass
            return _text(out), _text(err)

    def _stream(self, described: list[Described], stop: threading.Event) -> Iterator[Reply]:
        """A reply for each object, from one `cat` process and one more for each failure."""
        attempts = 0
        while described and not stop.is_set():
            before = len(described)
            urls = [f"{each.request.url}#{each.generation}" for each in described]
            with (
                tempfile.TemporaryFile() as err,
                processes.running(
                    [*self.command, "-q", "cat", *urls], {}, subprocess.PIPE, err
                ) as process,
            ):
                failure = None
                while described and failure is None:
                    try:
                        reply = _save_next(process, described[0], stop)
                    except Stopped:
                        return
                    except UnsafeName as error:
                        failure = Failure(str(error), reason=Reason.UNSAFE_NAME)
                    except Failure as error:
                        failure = error
                    else:
                        described.pop(0)
                        yield reply
                if failure is None or stop.is_set():
                    return
                if failure.reason is Reason.SHORT_BODY:
                    process.wait()
                    if said := _text(err).strip():
                        failure = failure_behind(said, described[0].request.url)
                else:
                    process.kill()
            attempts = attempts + 1 if len(described) == before else 1
            if attempts >= self.attempts or failure.reason in _FINAL:
                yield refused(described.pop(0).request, failure.reason, failure.what)
                attempts = 0


def _save_next(
    process: subprocess.Popen[bytes], described: Described, stop: threading.Event
) -> Reply:
    """Saves the next object of the stream. Raises Failure, Stopped, UnsafeName."""
    request = described.request
    if described.size == 0:
        raise Failure("the object is empty", reason=Reason.NOT_MEDIA)
    # crc32c needs another library, so it is the second choice.
    name = next((name for name in ("md5", "crc32c") if name in described.digests), "")
    digest = _hasher(name) if name else None
    with files.open_atomic(request.to, is_raw=True) as file:
        left = described.size
        while left:
            piece = _read(process, min(left, _PIECE), stop)
            left -= len(piece)
            file.write(piece)
            if digest is not None:
                digest.update(piece)
        if digest is not None:
            found = base64.b64encode(digest.digest()).decode()
            if found != described.digests[name]:
                raise Failure(f"the bytes do not fit their {name}", reason=Reason.WRONG_DIGEST)
    facts = {"generation": described.generation, **described.digests}
    return Reply(
        request.key, Reason.OK, "", request.to, described.size, origin=request.url, facts=facts
    )


def _read(process: subprocess.Popen[bytes], count: int, stop: threading.Event) -> bytes:
    """Up to `count` bytes that gsutil prints. Raises Failure at its end, Stopped."""
    assert process.stdout is not None
    handle = process.stdout.fileno()
    while not select.select([handle], [], [], 0.5)[0]:
        if stop.is_set():
            raise Stopped
    piece = process.stdout.read(count)
    if not piece:
        raise Failure("gsutil ended before the object did", reason=Reason.SHORT_BODY)
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


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(16 << 20).decode("utf-8", "replace")
