"""Ego4D's clip manifest: a CSV file that gives the S3 address of each clip."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saco_data.config.yaml_text import without_user
from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.storage import files

if TYPE_CHECKING:
    from saco_data.transports.s3 import S3

# In order of trust: in a clip manifest `video_uid` may name the video that a clip was cut from.
_UID_COLUMNS = ("file_uid", "exported_clip_uid", "video_uid")
_ADDRESS_COLUMNS = ("canonical_s3_location", "s3_path")
FILE_NAME = "manifest.csv"  # the name that the official CLI uses
_NOTE = ".manifest.csv.json"


def fetch(s3: S3, url: str, folder: Path, remedy: str) -> dict[str, str]:
    """The address of each clip by uid, from the manifest as it is now.

    The file is kept in `folder` and downloaded only when it changed. `remedy`: what to do where it
    is no manifest. Raises Blocked or Failure.
    """
    path, note = folder / FILE_NAME, folder / _NOTE
    known = _read_note(note)
    content = path.read_bytes() if path.is_file() else b""
    is_same = known.get("url") == without_user(url) and known.get("sha256") == _sha256(content)
    document = s3.document(url, str(known["etag"]) if is_same else None)
    if document is not None:
        content = document.content
        known = {"url": without_user(url), "etag": document.etag, "sha256": _sha256(content)}
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_if_changed(path, content)
        files.write_if_changed(note, json.dumps(known).encode())
    try:
        return parse(content)
    except ValueError as error:
        raise unusable(url, str(error), remedy) from None


def unusable(url: str, detail: str, remedy: str) -> Blocked:
    """The error for a manifest that cannot be used: no clip is gone because of it."""
    return Blocked(
        f"the clip manifest cannot be used ({detail})",
        item=url,
        remedy=remedy,
        reason=Reason.RAW_MISSING,
    )


def parse(content: bytes) -> dict[str, str]:
    """The address (`s3://bucket/key`) of each clip by uid.

    Raises ValueError if the content is not a clip manifest.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"not a CSV file: {type(error).__name__}") from None
    columns = rows[0].keys() if rows else ()
    uid_columns = [name for name in _UID_COLUMNS if name in columns]
    address_column = next((name for name in _ADDRESS_COLUMNS if name in columns), None)
    if not uid_columns or address_column is None:
        raise ValueError("no rows, or no columns for uid and place")
    by_uid: dict[str, str] = {}
    for column in uid_columns:
        addresses: dict[str, list[str]] = {}
        for row in rows:
            address = (row[address_column] or "").strip()
            addresses.setdefault(row[column] or "", []).append(address)
        for uid, candidates in addresses.items():
            # A uid with several addresses is a parent video, named in the rows of its clips.
            if uid and (column is uid_columns[0] or len(set(candidates)) == 1):
                by_uid.setdefault(uid, candidates[0])
    return by_uid


def format_rows(addresses: Mapping[str, str]) -> bytes:
    """A manifest with these addresses by uid, as the official CLI reads it."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("file_uid", "s3_path", "type"))
    writer.writerows((uid, url, "mp4") for uid, url in addresses.items())
    return text.getvalue().encode()


def _read_note(path: Path) -> dict[str, Any]:
    """What was noted of the downloaded manifest (url, etag, sha256); empty if nothing usable."""
    try:
        known = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) and known.get("etag") else {}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
