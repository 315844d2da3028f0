"""What earlier evaluations found, so that unchanged files are not looked at twice.

Kept in the user's cache folder. A file is known by path, size, time and inode, and what was found
of a ground truth by its content. Whatever is damaged or cannot be written is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path
from typing import Any

import msgspec

from saco_data.evaluation.results import SubsetResult
from saco_data.model.errors import SacoError
from saco_data.model.version import __version__
from saco_data.storage import files, folders

_FRESH = 2 * 10**9  # nanoseconds: a file this young may still change within the same clock tick
_MOST = 200  # results that are kept


def folder() -> Path:
    """Where it is kept: `$XDG_CACHE_HOME/saco-data/evaluate`."""
    return folders.cache_folder("evaluate")


def stamp(path: Path) -> list[Any] | None:
    """What tells whether a file changed; None where that cannot be told."""
    try:
        status = path.stat()
    except OSError:
        return None
    if time.time_ns() - status.st_mtime_ns < _FRESH:
        return None
    return [str(path.absolute()), status.st_size, status.st_mtime_ns, status.st_ino]


def key_of(*parts: Any) -> str:
    """A name for what these (plain data) lead to, in this version of the program."""
    return hashlib.sha256(msgspec.json.encode([__version__, *parts])).hexdigest()


def sha256_of(path: Path) -> str:
    """The sha256 of an unchanged file that was read before; "" for any other."""
    found = _read("files", key_of(stamp(path))) if stamp(path) else None
    return found.decode() if found else ""


def keep_sha256(path: Path, sha: str) -> None:
    """Remembers the sha256 of a file."""
    if known := stamp(path):
        _write("files", key_of(known), sha.encode())


def is_checked(sha: str, iou_type: str) -> bool:
    """Whether the runs of a ground truth with this content were found whole."""
    return bool(sha) and _read("checked", key_of(sha, iou_type)) is not None


def keep_checked(sha: str, iou_type: str) -> None:
    """Remembers that the runs of a ground truth are whole."""
    _write("checked", key_of(sha, iou_type), b"1")


def result(key: str) -> SubsetResult | None:
    """The result under a key."""
    found = _read("results", key)
    if found is None:
        return None
    with contextlib.suppress(msgspec.MsgspecError):
        return msgspec.msgpack.decode(found, type=SubsetResult)
    return None


def keep_result(key: str, found: SubsetResult) -> None:
    """Remembers a result; the oldest of too many go."""
    _write("results", key, msgspec.msgpack.encode(found))
    with contextlib.suppress(OSError):
        kept = sorted((folder() / "results").iterdir(), key=lambda each: each.stat().st_mtime)
        for each in kept[:-_MOST]:
            each.unlink(missing_ok=True)


def _read(kind: str, key: str) -> bytes | None:
    with contextlib.suppress(OSError):
        return (folder() / kind / key).read_bytes()
    return None


def _write(kind: str, key: str, content: bytes) -> None:
    with contextlib.suppress(SacoError, OSError, RuntimeError):
        files.write_atomic(folder() / kind / key, content)
