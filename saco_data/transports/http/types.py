"""What goes into the transport and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from saco_data.model.errors import Incomplete
from saco_data.model.reasons import Reason


@dataclass(frozen=True, slots=True)
class Policy:
    """How hard a source may be leaned on. All times in seconds.

    `concurrency`: files at once, and requests at once to one host. `requests_per_second` to one
    host, evenly spaced; 0 for no limit. `sleep_seconds`: the least and the longest pause between
    two requests to one host. `attempts` for each file; one that brought 1 MiB or more to
    keep starts the count again. `backoff_seconds`: the first wait after a transient failure; it
    doubles, with jitter, up to 30. `stall_timeout`: silence (or less than 1 KiB a second) for
    so long is a failure. `patience_seconds`: how long 429 answers may hold the source before it
    closes. `connections_per_file`: ranges at once for a large file, where that is faster and
    within `concurrency`.
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

    `sha256` and `md5` as hex digits, `crc32c` in base64 as in `x-goog-hash`.
    """

    kind: Literal["image", "video", "any"] = "any"
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    crc32c: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One file to fetch into `to`. `headers` go to the host of `url` only."""

    key: str
    url: str
    to: Path
    expect: Expect = Expect()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a request.

    With reason OK the file is complete under `path`, and `bytes` and `sha256` are its own. `origin`
    is the URL without query and user. `facts`: `etag`, `last_modified`, `content_type`,
    `redirected_to`, as far as known. `attempts` counts requests that failed or succeeded, not
    those that the server asked to come later.
    """

    key: str
    reason: Reason
    detail: str
    path: Path | None
    bytes: int | None
    sha256: str | None
    origin: str
    facts: dict[str, Any]
    attempts: int


class HttpFailure(Incomplete):
    """A document could not be had; `reason` says why (`HTTP_404` included)."""

    def __init__(
        self, what: str, *, item: str, reason: Reason = Reason.HTTP_ERROR, remedy: str = ""
    ) -> None:
        super().__init__(what, item=item, remedy=remedy or "Run the same command again")
        self.reason = reason


class FileChanged(HttpFailure):
    """The file is another one than when it was opened: what was read so far is worth nothing."""
