"""The words that all transports share: a request, its reply, a failure, a file read by ranges.

    Failure               a file could not be fetched; `reason` says why
    ├── FileChanged       the server has another version of it than a moment ago
    ├── RequestFailure    one HTTP request failed (`http.outcome`)
    └── ArchiveDamaged    an archive, or a member of it, is cut or damaged (`archive.safety`)
    Stopped               the run is to end early; what has arrived is kept

What concerns a whole source is `Blocked`, and what concerns our own disk `DiskFull` or
`OutputError` (`model.errors`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from saco_data.model.errors import Incomplete
from saco_data.model.reasons import Reason


@dataclass(frozen=True, slots=True)
class Policy:
    """How many requests a source gets, and how patiently. All times in seconds.

    `concurrency`: files at once, and requests at once to one host. `requests_per_second` to one
    host, evenly spaced; 0 for no limit. `sleep_seconds`: the shortest and the longest pause between
    two requests to one host. `attempts` for each file; an attempt that brings 1 MiB or more starts
    the count again. `backoff_seconds`: the first wait after a transient failure; it doubles, with
    jitter, up to 30. `stall_timeout`: a server that sends nothing (or less than 1 KiB a second) for
    so long has failed. `patience_seconds`: how long answers "too many requests" may hold the source
    before it is closed. `connections_per_file`: ranges of one large file at once, where that is
    faster; never more than `concurrency`.
    """

    concurrency: int = 8
    requests_per_second: float = 0
    sleep_seconds: tuple[float, float] = (0, 0)
    attempts: int = 5
    backoff_seconds: float = 0.5
    connect_timeout: float = 20
    stall_timeout: float = 30
    patience_seconds: float = 120
    connections_per_file: int = 8


@dataclass(frozen=True, slots=True)
class Expect:
    """What is known of a file beforehand; whatever is given is compared.

    `bytes`: its length; `least_bytes`: the shortest it can be. `sha256` and `md5` in hex digits,
    `crc32c` in base64, as `x-goog-hash` writes it.
    """

    kind: Literal["image", "video", "any"] = "any"
    bytes: int | None = None
    least_bytes: int = 0
    sha256: str | None = None
    md5: str | None = None
    crc32c: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One file to fetch: `url` into the path `to`. `key` names it in the reply.

    `headers` are sent to the host of `url` only.
    """

    key: str
    url: str
    to: Path
    expect: Expect = Expect()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request led to.

    With reason OK the file is complete and checked at `path`, and `bytes` and `sha256` describe it
    (`sha256` is None where the transport does not compute one). Otherwise `path` is None, and
    `detail` says what happened. `origin`: the URL without anything secret. `facts`: what the server
    says of the file, such as `etag`, `version_id`, `last_modified`. `attempts`: requests made,
    without those that the server asked to repeat later.
    """

    key: str
    reason: Reason
    detail: str = ""
    path: Path | None = None
    bytes: int | None = None
    sha256: str | None = None
    origin: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    attempts: int = 1


class Failure(Incomplete):
    """A file could not be fetched or read; `reason` says why (`HTTP_404` included)."""

    def __init__(
        self, what: str, *, item: str = "", remedy: str = "", reason: Reason = Reason.HTTP_ERROR
    ) -> None:
        super().__init__(what, item=item, remedy=remedy or "Run the same command again")
        self.reason = reason


class FileChanged(Failure):
    """The server has another version of the file: the bytes read so far do not belong to it."""


class Stopped(Exception):
    """The run is to end early. Nothing is wrong, and what has arrived is kept."""


class RangeReader(Protocol):
    """A file elsewhere that is read front to back or, if `seekable`, from any byte on."""

    @property
    def size(self) -> int | None:
        """Bytes in all; None when the server does not say."""

    @property
    def seekable(self) -> bool:
        """Whether the server honours ranges. If not, only `stream(0)` is cheap."""

    @property
    def identity(self) -> str:
        """Names this version of the file (strong ETag, else Last-Modified); "" unknown."""

    @property
    def origin(self) -> str:
        """Where the file is, without anything secret."""

    def stream(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes `start` to `stop` (exclusive; None: the end), in pieces of at most 1 MiB.

        A broken connection is resumed at the byte where it broke. Raises Failure or Blocked, and
        Stopped when the file was opened with an event that is now set.
        """

    def read_at(self, start: int, length: int) -> bytes:
        """`length` bytes from byte `start` on; fewer only at the end of the file."""
