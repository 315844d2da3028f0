"""Small files that a source relies on (a catalogue, a mapping), and names that hold a UUID."""

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
_ATTEMPTS = 4  # downloads whose content was not what it should be


def uuid_of(file_name: str) -> str:
    """The UUID that a file is named by, in lower case. Raises UnsafeName where there is none."""
    stem = PurePosixPath(file_name).stem
    if not _UUID.fullmatch(stem):
        raise UnsafeName(f"the name is not that of a UUID: {file_name[:200]!r}")
    return stem.lower()


def fetch(
    http: Http, url: str, to: Path, check: Callable[[Path], None], expect: Expect
) -> dict[str, Any]:
    """Fetches a document that has no digest of its own; returns its facts (ETag...).

    `check` raises ValueError for content that cannot be right: it is then fetched anew. Raises
    Blocked (refused, or not there at all), Failure, DiskFull, OutputError.
    """
    from saco_data.transports.base import Failure, Request

    staging = to.with_name(f".{to.name}.new")
    problem = ""
    for _ in range(_ATTEMPTS):
        (reply,) = http.fetch([Request(to.name, url, staging, expect)])
        if reply.path is None:
            raise failure(reply)
        try:
            check(staging)
        except ValueError as error:
            staging.unlink()
            problem = f"not what was expected ({str(error)[:200]})"
            continue
        files.publish(staging, to)
        return reply.facts
    raise Failure(problem, item=reply.origin, reason=Reason.NOT_MEDIA)


def failure(reply: Reply) -> Exception:
    """The error for a document, needed by all items, that could not be had."""
    from saco_data.transports.base import Failure

    if reply.reason.state is State.FAILED:
        return Failure(reply.detail, item=reply.origin, reason=reply.reason)
    if reply.reason.state is State.GONE:
        return not_there(reply.detail, reply.origin)
    remedy = "Run the same command again later; `saco doctor` checks the access"
    return Blocked(reply.detail, item=reply.origin, remedy=remedy, reason=reply.reason)


def not_there(detail: str, origin: str) -> Blocked:
    """No item is gone because the document that lists them has moved."""
    remedy = "Correct its address under `endpoints` in the config"
    return Blocked(detail, item=origin, remedy=remedy, reason=Reason.RAW_MISSING)
