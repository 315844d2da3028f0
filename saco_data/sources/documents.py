"""Documents that a source depends on (a catalogue, a mapping), and file names that are UUIDs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason, State
from saco_data.storage import files
from saco_data.storage.names import UnsafeName

if TYPE_CHECKING:
    from saco_data.transports.base import Expect, Reply
    from saco_data.transports.http import Http

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.I)
_ATTEMPTS = 4  # downloads before wrong content is an error


def uuid_of(file_name: str) -> str:
    """The UUID in a file name, in lower case. Raises UnsafeName if the name is not a UUID."""
    stem = PurePosixPath(file_name).stem
    if not _UUID.fullmatch(stem):
        raise UnsafeName(f"the name is not a UUID: {file_name[:200]!r}")
    return stem.lower()


def fetch(
    http: Http, url: str, to: Path, check: Callable[[Path], None], expect: Expect, remedy: str
) -> dict[str, Any]:
    """Fetches a document without a known digest; returns its facts (ETag...).

    `remedy`: what to do where there is no such document (`SubsetConfig.endpoint_remedy`).
    `check` raises ValueError for wrong content, which is then fetched again. Raises Blocked
    (refused or not found), Failure, DiskFull, OutputError.
    """
    from saco_data.transports.base import Failure, Request

    staging = to.with_name(f".{to.name}.new.saco-tmp")
    problem = ""
    for _ in range(_ATTEMPTS):
        (reply,) = http.fetch([Request(to.name, url, staging, expect)])
        if reply.path is None:
            raise failure(reply, remedy)
        try:
            check(staging)
        except ValueError as error:
            staging.unlink()
            problem = f"not what was expected ({str(error)[:200]})"
            continue
        files.publish(staging, to)
        return reply.facts
    raise Failure(problem, item=reply.origin, reason=Reason.NOT_MEDIA)


def failure(reply: Reply, remedy: str = "") -> Exception:
    """The error for a document that all items need and that could not be fetched."""
    from saco_data.transports.base import Failure

    if reply.reason.state is State.FAILED:
        return Failure(reply.detail, item=reply.origin, reason=reply.reason)
    if reply.reason.state is State.GONE:
        return missing(reply.detail, reply.origin, remedy)
    again = "Run the same command again later; `saco doctor` checks the access"
    return Blocked(reply.detail, item=reply.origin, remedy=again, reason=reply.reason)


def missing(detail: str, origin: str, remedy: str) -> Blocked:
    """The error for a document that is not at its address: its items are not gone."""
    return Blocked(detail, item=origin, remedy=remedy, reason=Reason.RAW_MISSING)
