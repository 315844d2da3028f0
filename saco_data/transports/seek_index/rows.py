"""The file of a seek index: JSON lines, packed by gzip.

For each archive a line with an object that identifies it, then a line with an array for each
member, in the order of the archive. An index comes from strangers: its size, its lines and every
number are limited, and it is only a claim about the archive (see `entering`).
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from saco_data.config.regular import require_regular
from saco_data.storage.disk_errors import explain_errors
from saco_data.storage.files import open_atomic
from saco_data.transports.archive.seekpoint import WINDOW

FORMAT = "saco-seek-index-1"
MEMBER_LIMIT = 64 << 20  # bytes of a member that can be in an index
LEAD_LIMIT = 16 << 20  # bytes of output between the block's begin and the member's header
HEAD_LIMIT = 2 << 20  # bytes of a member's headers
PACKED_LIMIT = 96 << 20  # bytes to fetch for a member
_FILE_LIMIT = 1 << 30  # bytes of an index file
_TEXT_LIMIT = 8 << 30  # bytes of its text
_LINE_LIMIT = 256 << 10  # bytes of a line: a whole window takes 64 KiB

_Size = Annotated[int, Meta(ge=0, le=1 << 50)]
_Sha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
_Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2})+$")]


class BadIndex(ValueError):
    """A file that is not a seek index, or a damaged one."""


class Archive(msgspec.Struct, frozen=True):
    """Which archive the rows that follow belong to.

    `name`: the last part of its address; `url`: the address without secrets; `size` in bytes; `md5`
    of the whole archive as it was read; `etag` as the server gave it, "" unknown; `rows` that
    follow; `by`: the program that wrote it.
    """

    format: str
    name: Annotated[str, Meta(min_length=1, max_length=4096)]
    url: Annotated[str, Meta(max_length=4096)]
    size: _Size
    md5: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    etag: Annotated[str, Meta(max_length=1024)]
    rows: Annotated[int, Meta(ge=0, le=1 << 30)]
    by: Annotated[str, Meta(max_length=200)]


class Row(msgspec.Struct, array_like=True, frozen=True):
    """Where a member is, and how to know it.

    Inflating begins at bit `bit` of the archive and takes `packed` bytes from the byte that holds
    it. Of the output, `skip` bytes come before the member's headers, which are `head` bytes long;
    its content has `size` bytes with this `sha256`. `window`: the bytes of earlier output that the
    member derives from, in runs: {position in the last 32 KiB: hex digits}.
    """

    name: Annotated[str, Meta(min_length=1, max_length=4096)]
    bit: Annotated[int, Meta(ge=0, le=1 << 53)]
    packed: Annotated[int, Meta(ge=1, le=PACKED_LIMIT)]
    skip: Annotated[int, Meta(ge=0, le=LEAD_LIMIT)]
    head: Annotated[int, Meta(ge=512, le=HEAD_LIMIT)]
    size: Annotated[int, Meta(ge=0, le=MEMBER_LIMIT)]
    sha256: _Sha256
    window: dict[Annotated[int, Meta(ge=0, lt=WINDOW)], _Hex]

    @property
    def start(self) -> int:
        """The first byte of the archive that is needed."""
        return self.bit // 8

    @property
    def stop(self) -> int:
        """The byte of the archive after the last one that is needed."""
        return self.start + self.packed


def write(path: Path, parts: Iterable[tuple[Archive, Iterable[Row]]]) -> None:
    """Writes an index, the same bytes for the same content. Raises DiskFull, OutputError."""
    encoder = msgspec.json.Encoder()
    with open_atomic(path) as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
        for archive, rows in parts:
            packed.write(encoder.encode(archive) + b"\n")
            for row in rows:
                packed.write(encoder.encode(row) + b"\n")


def read(
    path: Path, is_archive: Callable[[Archive], bool], is_wanted: Callable[[str], bool]
) -> tuple[Archive, list[Row]] | None:
    """The first archive in an index that is meant, with a row for each wanted name; None if none.

    Raises BadIndex, and OutputError where the file cannot be read.
    """
    rows = msgspec.json.Decoder(Row)
    found: tuple[Archive, list[Row]] | None = None
    names: set[str] = set()
    left = 0
    with explain_errors(path):
        for line in _lines(path):
            if left == 0:
                if found is not None:
                    return found
                archive = _decode(msgspec.json.Decoder(Archive), line)
                if archive.format != FORMAT:
                    raise BadIndex(f"has the format {archive.format[:40]!r}, not {FORMAT}")
                left = archive.rows
                if is_archive(archive):
                    found = archive, []
                continue
            left -= 1
            if found is not None:
                row = _decode(rows, line)
                if row.name not in names and is_wanted(row.name):
                    _check(row, found[0])
                    names.add(row.name)
                    found[1].append(row)
    if left:
        raise BadIndex(f"ends {left} rows too early")
    return found


def _check(row: Row, archive: Archive) -> None:
    if row.stop > archive.size:
        raise BadIndex(f"names bytes beyond the end of {archive.name}")
    if any(at + len(run) // 2 > WINDOW for at, run in row.window.items()):
        raise BadIndex("names bytes beyond the window")


def _decode(decoder: msgspec.json.Decoder[Any], line: bytes) -> Any:
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadIndex(f"has a line that is not right ({str(error)[:120]})") from None


def _lines(path: Path) -> Iterator[bytes]:
    require_regular(path)
    if path.stat().st_size > _FILE_LIMIT:
        raise BadIndex(f"has more than {_FILE_LIMIT} bytes")
    total = 0
    try:
        with gzip.open(path) as file:
            while line := file.readline(_LINE_LIMIT):
                total += len(line)
                if not line.endswith(b"\n") or total > _TEXT_LIMIT:
                    raise BadIndex("is cut, or too long")
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadIndex(f"cannot be unpacked ({error})") from None
