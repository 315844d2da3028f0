"""File names from annotations, archives and servers, which must stay in their folder."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

MAX_NAME_BYTES = 1024
MAX_PART_BYTES = 255  # of one folder or file, as file systems have it


class UnsafeName(ValueError):
    """A name that would leave its folder, or that no file can have."""


def safe_join(root: Path, name: str) -> Path:
    """`root / name` for an untrusted relative name with "/" between its parts.

    Raises UnsafeName for an absolute name, for parts that are empty, "." or "..", for control
    characters and backslashes, and for a name or part that is too long.
    """
    parts = name.split("/")
    if not name or any(part in ("", ".", "..") for part in parts):
        raise UnsafeName(f"unsafe name {name[:80]!r}")
    if any(ord(char) < 32 or char == "\\" for char in name):
        raise UnsafeName(f"unsafe character in name {name[:80]!r}")
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:
        raise UnsafeName(f"name is not valid text: {name[:80]!r}") from None
    if len(encoded) > MAX_NAME_BYTES or max(map(len, encoded.split(b"/"))) > MAX_PART_BYTES:
        raise UnsafeName(f"name too long: {name[:80]!r}...")
    return root.joinpath(*PurePosixPath(name).parts)
