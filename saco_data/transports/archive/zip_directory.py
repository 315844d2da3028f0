"""Whether the directory of a zip on disk agrees with the headers before its members.

The directory has no checksum. Where a bit of a name in it is wrong, or an entry is lost, a member
that is there seems not to be: before a file counts as missing, both are compared.
"""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

_HEADER = struct.Struct("<4s22xHH")
_SIGNATURE = b"PK\x03\x04"
_DESCRIPTOR = 24  # bytes at most that may follow the content of a member


def find_disagreement(path: Path, infos: list[zipfile.ZipInfo], directory_start: int) -> str:
    """What a directory says wrongly of its zip; "" if it agrees with all headers.

    `infos`: its entries in the order of the file. `directory_start`: where it begins, in bytes.
    """
    with path.open("rb") as file:
        if infos and infos[0].header_offset and _read_at(file, 0, 4) == _SIGNATURE:
            return "its directory lacks the member at its beginning"
        ends = [info.header_offset for info in infos[1:]] + [directory_start]
        for info, end in zip(infos, ends, strict=True):
            head = _read_at(file, info.header_offset, _HEADER.size)
            if len(head) < _HEADER.size or not head.startswith(_SIGNATURE):
                return f"its directory leads to no member for {info.filename}"
            _, name_size, extra_size = _HEADER.unpack(head)
            name = file.read(name_size)
            if name != info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437"):
                return f"its directory and the header of {info.filename} disagree"
            after = info.header_offset + _HEADER.size + name_size + extra_size + info.compress_size
            if after < end and _SIGNATURE in _read_at(
                file, after, min(end - after, _DESCRIPTOR + 4)
            ):
                return f"its directory lacks the member after {info.filename}"
    return ""


def _read_at(file: BinaryIO, start: int, size: int) -> bytes:
    file.seek(start)
    return file.read(size)
