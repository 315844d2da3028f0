"""What gsutil prints: descriptions of objects, refusals, and its last words. Pure: runs nothing."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.transports.base import Failure, Reply, Request

_THROTTLED = re.compile(r"\b(429|503)\b|TooManyRequests|rateLimitExceeded|SlowDown", re.I)
_DENIED = re.compile(r"\b401\b|\b403\b|AccessDenied|aren't authorized|invalid_grant", re.I)
_SERVER_ERROR = re.compile(r"ServiceException|BadRequest|\b5\d\d\b")
_SECTION = re.compile(r"^(gs://\S+):[ \t]*$", re.MULTILINE)
_FIELD = re.compile(r"^\s+([\w()-][\w() -]*):\s+(\S+)[ \t]*$", re.MULTILINE)
# In this order: an object that is refused is said to be unmatched as well.
_REFUSALS = (
    (
        re.compile(r"You aren't authorized to read (\S+) - skipping"),
        Reason.UNAUTHORIZED,
        "gsutil is not authorised to read it",
    ),
    (re.compile(r"No URLs matched: (\S+)"), Reason.OBJECT_MISSING, "No URLs matched"),
)


@dataclass(frozen=True, slots=True)
class Described:
    """An object as `gsutil stat` describes it; `digests` by name (md5, crc32c), in base64."""

    request: Request
    size: int
    generation: str
    digests: dict[str, str]


def read_descriptions(stdout: str, wanted: dict[str, Request]) -> list[Described]:
    """The objects that `gsutil stat` describes; those found are removed from `wanted` (by URL)."""
    described = []
    for url, text in _sections(stdout):
        if url in wanted and (found := _description(wanted[url], text)) is not None:
            described.append(found)
            del wanted[url]
    return described


def read_refusals(stderr: str, wanted: dict[str, Request]) -> list[Reply]:
    """Replies for the objects that `gsutil stat` cannot read; they are removed from `wanted`."""
    return [
        refused(wanted.pop(url), reason, detail)
        for pattern, reason, detail in _REFUSALS
        for url in pattern.findall(stderr)
        if url in wanted
    ]


def failure_behind(stderr: str, url: str) -> Failure:
    """The failure that the last line of a gsutil which ended early names.

    Raises Blocked where the line concerns more than one file.
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    said = re.sub(r"\?\S*", "", lines[-1] if lines else "it does not say why")[:200]
    if _THROTTLED.search(said):
        raise blocked(Reason.THROTTLED, url)
    if _DENIED.search(said):
        raise blocked(Reason.UNAUTHORIZED, url)
    reason = Reason.SERVER_ERROR if _SERVER_ERROR.search(said) else Reason.NETWORK
    return Failure(f"gsutil: {said}", item=url, reason=reason)


def blocked(reason: Reason, url: str) -> Blocked:
    """The error for a bucket that throttles or denies."""
    if reason is Reason.THROTTLED:
        what, remedy = "the bucket asks gsutil for a rest", "Run again in an hour"
    else:
        what = "gsutil is not authorised to read the bucket"
        remedy = "Run `gsutil config`, or correct BOTO_CONFIG or `endpoints: droid_gcs`"
    return Blocked(what, item=url, remedy=remedy, reason=reason)


def refused(request: Request, reason: Reason, detail: str) -> Reply:
    """The reply for an object that could not be fetched."""
    return Reply(request.key, reason, detail, origin=request.url)


def _sections(stdout: str) -> Iterator[tuple[str, str]]:
    """URL and text of each block; a block begins with `gs://...:` at the margin."""
    blocks = _SECTION.split(stdout)
    return zip(blocks[1::2], blocks[2::2], strict=False)


def _description(request: Request, text: str) -> Described | None:
    fields = dict(_FIELD.findall(text))
    with contextlib.suppress(KeyError, ValueError):
        digests = {name: fields.get(f"Hash ({name})", "") for name in ("md5", "crc32c")}
        generation = fields["Generation"]
        if generation.isdecimal():
            known = {name: digest for name, digest in digests.items() if digest}
            return Described(request, int(fields["Content-Length"]), generation, known)
    return None
