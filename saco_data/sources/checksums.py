"""The published checksums of archives: lists as `md5sum` and `sha256sum` write them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from saco_data.model.errors import Blocked
from saco_data.sources.sav import find_link
from saco_data.transports.base import Failure

if TYPE_CHECKING:
    from saco_data.transports.http import Http

# The last one is the list of SA-1B, to which no links file leads.
LISTS = ("sav_md5sum.chk", "sav_sha256sum.chk", "checklist.chk")
LIMIT = 1 << 20  # bytes


def find_published(
    archive: str, raw: str | Path | None, links: Path | None, http: Http | None
) -> str | None:
    """The published md5 or sha256 of an archive; None where no list is at hand.

    `raw`: what the config names; the lists lie beside it. Otherwise they lie beside `links`, or it
    leads to them.
    """
    for name in LISTS:
        content = _read(name, raw, links, http)
        if found := find_checksum(content.decode(errors="replace"), archive):
            return found
    return None


def _read(name: str, raw: str | Path | None, links: Path | None, http: Http | None) -> bytes:
    try:
        if isinstance(raw, Path):
            folder = raw if raw.is_dir() else raw.parent
            return (folder / name).read_bytes()[:LIMIT]
        if raw or links is None:
            return b""
        if (beside := links.with_name(name)).is_file():
            return beside.read_bytes()[:LIMIT]
        if http is None:
            return b""
        return http.get(find_link(links, name), limit_bytes=LIMIT)
    except (OSError, Blocked, Failure):
        return b""


def find_checksum(text: str, archive: str) -> str | None:
    """The digest of a file in the output of `md5sum` or `sha256sum`; None if it is not listed."""
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9a-fA-F]{32}|[0-9a-fA-F]{64})[ *]+(?:.*/)?([^/]+)", line.strip())
        if match and match[2] == archive:
            return match[1].lower()
    return None
