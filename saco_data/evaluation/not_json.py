"""What a file is that was expected to be JSON, by its first bytes: for the message."""

from __future__ import annotations

import json
import re

_LIST = "a list of objects, one for each mask"
_WRITE = f"Write a COCO result file as JSON: {_LIST}"
_STARTS = (
    (b"\x1f\x8b", "is compressed (gzip)", "Unpack it with `gzip -d`, and name the JSON file"),
    (b"PK\x03\x04", "is a zip file (.npz is one, too)", _WRITE),
    (b"\x28\xb5\x2f\xfd", "is compressed (zstd)", "Unpack it, and name the JSON file"),
    (b"\xfd7zXZ", "is compressed (xz)", "Unpack it, and name the JSON file"),
    (b"BZh", "is compressed (bzip2)", "Unpack it, and name the JSON file"),
    (b"\x80", "is binary (a pickle?)", _WRITE),
    (b"\x93NUMPY", "is a NumPy array", _WRITE),
    (b"PAR1", "is a Parquet file", _WRITE),
    (b"\x89HDF", "is an HDF5 file", _WRITE),
    (b"<", "is a web page or XML", _WRITE),
)
_ROW = re.compile(rb"[^\[\]{}\n]+,[^\[\]{}\n]+\r?\n")


def describe(content: bytes, error: ValueError) -> tuple[str, str]:
    """(what happened, what to do) for a file that `json` refuses with this error."""
    begin = content[:4096].removeprefix(b"\xef\xbb\xbf").lstrip()
    if not content.strip():
        return "is empty", f"Write the file again: {_LIST}"
    for start, what, remedy in _STARTS:
        if begin.startswith(start):
            return what, remedy
    if begin.startswith(b"{") and isinstance(error, json.JSONDecodeError) and _is_extra(error):
        return "has one object a line, not one list", "Put the lines into one list: [..., ...]"
    if _ROW.match(begin):
        return "is not JSON (a table such as CSV?)", _WRITE
    return f"is not whole JSON ({error})", f"Write the file again: {_LIST}"


def _is_extra(error: json.JSONDecodeError) -> bool:
    return error.msg == "Extra data"
