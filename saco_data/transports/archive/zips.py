"""Members of a zip: reads its directory, then only the parts that hold wanted members."""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.storage.files import CHUNK
from saco_data.transports.archive.local import LocalFile
from saco_data.transports.archive.safety import ArchiveDamaged, Member, plain_name, refusal_of
from saco_data.transports.archive.zip_directory import find_disagreement
from saco_data.transports.base import RangeReader

DIRECTORY_LIMIT = 128 << 20  # bytes of central directory that are read into memory
NEIGHBOURS = 512 << 10  # unwanted bytes between two wanted members that are read, not skipped
BLOCK = 64 << 10
_UTF8 = 0x800  # the flag of a name in UTF-8
_UNICODE_PATH = 0x7075

NO_MEMBERS = "is a zip that names no members"
DOWNLOAD = "Download it again, or extract it with another program and name the folder"

_log = logging.getLogger(__name__)
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    IndexError,
)
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}


def zip_members(reader: RangeReader, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """Wanted members in the order of the file. `reader` must be seekable and know its size."""
    view = _View(reader)
    try:
        archive = zipfile.ZipFile(view)
    except (*_DAMAGE, NotImplementedError) as error:
        raise ArchiveDamaged(f"is not a whole zip ({error})", item=reader.origin) from error
    with archive:
        if not archive.filelist:
            raise Blocked(
                NO_MEMBERS, item=reader.origin, remedy=DOWNLOAD, reason=Reason.RAW_MISSING
            )
        infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
        ends = [info.header_offset for info in infos[1:]] + [archive.start_dir]
        chosen: list[tuple[zipfile.ZipInfo, str, int]] = []
        seen: set[str] = set()
        for info, end in zip(infos, ends, strict=True):
            name = next(filter(wanted, _names(info)), "")
            if not name or name.endswith("/"):
                continue
            if name in seen:
                _log.warning("%s: %s is there twice, the first one is used", reader.origin, name)
                continue
            seen.add(name)
            chosen.append((info, name, end))
        view.plan([(info.header_offset, end) for info, _, end in chosen])
        for info, name, end in chosen:
            refusal = _refusal(info, name, end)
            read = functools.partial(_pieces, archive, info, name, reader.origin)
            member = Member(name, info.file_size, refusal, vouched=True, _pieces=read)
            yield member
            member.close()
        if isinstance(reader, LocalFile):
            # Reached where something wanted was not found: is it really not there?
            problem = find_disagreement(reader.path, infos, archive.start_dir)
            if problem:
                raise ArchiveDamaged(problem, item=reader.origin)


def find_problem(path: Path) -> str:
    """Why a local file that begins like a zip cannot be used; "" if it can, or is another file."""
    try:
        with path.open("rb") as file:
            if file.read(2) != b"PK":
                return ""
        with zipfile.ZipFile(path) as archive:
            return "" if archive.filelist else NO_MEMBERS
    except (*_DAMAGE, NotImplementedError) as error:
        return f"is not a whole zip ({error})"
    except OSError:
        return ""  # told elsewhere


def _names(info: zipfile.ZipInfo) -> Iterator[str]:
    """Possible names of a member, the likeliest first; with "/" for backslashes."""
    for name in _decoded_names(info):
        yield name
        if "\\" in name:
            yield plain_name(name.replace("\\", "/"))


def _decoded_names(info: zipfile.ZipInfo) -> Iterator[str]:
    """Possible names of a member: many writers do not name the encoding."""
    told = bool(info.flag_bits & _UTF8)
    stored = info.orig_filename
    raw = stored.encode("utf-8" if told else "cp437")
    with contextlib.suppress(UnicodeError):
        if name := _unicode_path(info.extra, raw):
            yield plain_name(name.decode())
    with contextlib.suppress(UnicodeError):
        yield plain_name(raw.decode())
    if not told:
        yield plain_name(stored)


def _unicode_path(extra: bytes, raw: bytes) -> bytes:
    """The UTF-8 name that Info-ZIP writes beside one in an old code page; b"" if there is none."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == _UNICODE_PATH and field[:5] == struct.pack("<BL", 1, zlib.crc32(raw)):
            return field[5:]
    return b""


def _refusal(info: zipfile.ZipInfo, name: str, end: int) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "a symbolic link"
    if kind not in (0, stat.S_IFREG):
        return "not a regular file"
    if info.flag_bits & 0x1:
        return "encrypted"
    if info.compress_type not in _METHODS:
        return f"unknown compression method {info.compress_type}"
    if info.header_offset + info.compress_size > end:
        return "overlaps the next member"
    return refusal_of(name, info.file_size)


def _pieces(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, origin: str
) -> Iterator[bytes]:
    # The directory says where each member is: a damaged one does not hide the others.
    left = info.file_size
    try:
        with archive.open(info) as file:
            # Reads at most the declared size, and compares the checksum at the end.
            while piece := file.read(CHUNK):
                left -= len(piece)
                yield piece
    except (*_DAMAGE, NotImplementedError, RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno:
            raise  # of the disk; bz2 has errors of this class without a number
        what = f"{name} is damaged ({error})"
        raise ArchiveDamaged(what, item=origin, alone=True) from error
    if left:
        raise ArchiveDamaged(f"{name} is {left} bytes short", item=origin, alone=True)


class _View(io.RawIOBase):
    """A RangeReader as a file: planned spans are streamed, everything else is read in blocks."""

    def __init__(self, reader: RangeReader) -> None:
        assert reader.size is not None
        self._reader = reader
        self._size = reader.size
        self._at = 0
        self._spans: list[tuple[int, int]] = []
        self._pieces: Iterator[bytes] = iter(())
        self._held = memoryview(b"")  # bytes from `_from` on
        self._from = 0

    def plan(self, wanted: list[tuple[int, int]]) -> None:
        """Sets the parts of the file that will be read, in order; neighbours are merged."""
        for start, end in wanted:
            if self._spans and start - self._spans[-1][1] <= NEIGHBOURS:
                self._spans[-1] = (self._spans[-1][0], max(end, self._spans[-1][1]))
            else:
                self._spans.append((start, end))

    def seekable(self) -> bool:
        """Always: zipfile asks."""
        return True

    def readable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position in the file."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves without reading."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("seek before the beginning")
        self._at = base + offset
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """`size` bytes from the position, fewer only at the end of the file."""
        left = max(self._size - self._at, 0)
        size = left if size is None or size < 0 else min(size, left)
        if size > DIRECTORY_LIMIT:
            raise zipfile.BadZipFile(f"a directory of {size} bytes")
        parts: list[bytes] = []
        while size:
            part = self._some(size)
            if not part:
                raise EOFError("the file ends too early")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _some(self, size: int) -> bytes:
        while not self._from <= self._at < self._from + len(self._held):
            self._load(size)
            if not self._held:
                return b""
        skip = self._at - self._from
        part = bytes(self._held[skip : skip + size])
        self._at += len(part)
        return part

    def _load(self, size: int) -> None:
        """Holds the next bytes of the running stream, or of a new one."""
        follows = self._from + len(self._held)
        piece = b""
        if follows <= self._at <= follows + NEIGHBOURS:
            piece = next(self._pieces, b"")
        if not piece:
            follows = self._at
            self._end_stream()
            stop = next((end for start, end in self._spans if start <= self._at < end), None)
            if stop is None:
                piece = self._reader.read_at(self._at, max(size, BLOCK))
            else:
                self._pieces = self._reader.stream(self._at, stop)
                piece = next(self._pieces, b"")
        self._from, self._held = follows, memoryview(piece)

    def _end_stream(self) -> None:
        close = getattr(self._pieces, "close", None)
        if close:
            close()
        self._pieces = iter(())

    def close(self) -> None:
        """Ends the current request."""
        self._end_stream()
        super().close()
