"""Members of a tar, read by code of our own.

Python's tarfile takes a damaged header in mid-archive for the end, reads extension headers of any
declared size into memory, and cannot jump; only its decoder of a single header block is used here.
"""

from __future__ import annotations

import contextlib
import logging
import tarfile
from collections.abc import Callable, Iterator

from saco_data.model.errors import SacoError
from saco_data.transports.archive.index import Entry, Index
from saco_data.transports.archive.safety import ArchiveDamaged, Member, plain_name, refusal_of
from saco_data.transports.archive.stream import Stream

EXTENSION_LIMIT = 1 << 20  # bytes of a long name or of pax records
EXTENSIONS_LIMIT = 16  # extension headers before one member
SIZE_LIMIT = 1 << 62
ZEROS = bytes(512)

_log = logging.getLogger(__name__)
_REGULAR = {tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE}
# Kinds without content, whatever size they declare.
_SPECIAL = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a named pipe",
}


def tar_members(stream: Stream, wanted: Callable[[str], bool], index: Index) -> Iterator[Member]:
    """Wanted members: first those that the index knows of, then those found by reading on."""
    seen: set[str] = set()
    for known in index.entries(wanted):
        yield from _deliver(stream, known, seen)
    if index.complete:
        return
    position = index.next
    try:
        stream.goto(position)
        while entry := next_entry(stream):
            position = entry.end
            if entry.name:
                index.add(entry)
                if wanted(entry.name):
                    stream.mark(entry)
                    yield from _deliver(stream, entry, seen)
            stream.goto(position)
            stream.save(position)
        stream.finish()
        stream.save(position, now=True)
        index.save(position, complete=True)
    except BaseException:
        # Also when the caller stops: the next run continues at this position. Where the disk
        # refuses, it searches again; what went wrong first is what counts.
        with contextlib.suppress(SacoError, OSError):
            stream.save(position, now=True)
        raise


def looks_like_tar(head: bytes) -> bool:
    """Whether a file that begins with these 512 bytes may be a tar."""
    try:
        return head[:512] == ZEROS or bool(
            tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
        )
    except (tarfile.HeaderError, ValueError, OverflowError):
        return False


def _deliver(stream: Stream, entry: Entry, seen: set[str]) -> Iterator[Member]:
    if entry.name in seen:
        _log.warning("%s: %s is there twice, the first one is used", stream.origin, entry.name)
        return
    seen.add(entry.name)
    refusal = refusal_of(entry.name, entry.size) or entry.refusal
    if not refusal:
        stream.goto(entry.data)
    member = Member(entry.name, entry.size, refusal, _pieces=lambda: stream.pieces(entry.size))
    yield member
    member.close()


def next_entry(stream: Stream) -> Entry | None:
    """The next entry, or None at the end mark; an entry without a name (a folder) is skipped."""
    start = stream.position
    records: dict[str, str] = {}
    for _ in range(EXTENSIONS_LIMIT):
        at = stream.position
        block = stream.block()
        if block == ZEROS and not records:
            return None
        info = _decode(block, at, stream.origin)
        if info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
            records |= _pax(_extension(stream, info), at, stream.origin)
        elif info.type == tarfile.XGLTYPE:
            _extension(stream, info)
        elif info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            text = _extension(stream, info).rstrip(b"\0").decode(errors="surrogateescape")
            if info.type == tarfile.GNUTYPE_LONGNAME:
                records["path"] = text
        else:
            return _entry(stream, info, records, start, block)
    raise ArchiveDamaged(f"too many extension headers at byte {start}", item=stream.origin)


def _entry(
    stream: Stream, info: tarfile.TarInfo, records: dict[str, str], start: int, block: bytes
) -> Entry:
    sparse = info.type == tarfile.GNUTYPE_SPARSE
    if sparse:
        more = block[482]
        while more:
            more = stream.exactly(512)[504]
    sparse = sparse or any(key.startswith("GNU.sparse.") for key in records)
    name = plain_name(records.get("GNU.sparse.name", records.get("path", info.name)))
    if info.type == tarfile.DIRTYPE:
        return Entry("", start, stream.position, 0)
    if name.endswith("/"):
        name = ""
    refusal = _SPECIAL.get(info.type, "")
    size = 0 if refusal else _size(info, records, stream)
    if not refusal and sparse:
        refusal = "a sparse file"
    elif not refusal and info.type not in _REGULAR:
        refusal = "an unknown kind of member"
    return Entry(name, start, stream.position, size, refusal)


def _size(info: tarfile.TarInfo, records: dict[str, str], stream: Stream) -> int:
    declared = records.get("size", "")
    # More digits are beyond the limit anyway.
    size = int(declared[:20]) if declared.isdecimal() else info.size
    if size >= SIZE_LIMIT:
        raise ArchiveDamaged(
            f"an impossible size before byte {stream.position}", item=stream.origin
        )
    whole = stream.whole
    if whole is not None and stream.position + size > whole:
        raise ArchiveDamaged(
            f"a member of {size} bytes at byte {stream.position} goes beyond the end ({whole})",
            item=stream.origin,
            cut=True,
        )
    return size


def _decode(block: bytes, at: int, origin: str) -> tarfile.TarInfo:
    if not block:
        raise ArchiveDamaged(f"ends at byte {at} without the end mark", item=origin, cut=True)
    try:
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError, OverflowError):
        raise ArchiveDamaged(f"no valid tar header at byte {at}", item=origin) from None
    if not 0 <= info.size < SIZE_LIMIT:
        raise ArchiveDamaged(f"an impossible size in the header at byte {at}", item=origin)
    return info


def _extension(stream: Stream, info: tarfile.TarInfo) -> bytes:
    if info.size > EXTENSION_LIMIT:
        raise ArchiveDamaged(
            f"an extension header of {info.size} bytes at byte {stream.position}",
            item=stream.origin,
        )
    return stream.exactly((info.size + 511) // 512 * 512)[: info.size]


def _pax(content: bytes, at: int, origin: str) -> dict[str, str]:
    """Records `length key=value\\n` of an extended header."""
    records: dict[str, str] = {}
    while content.rstrip(b"\0"):
        digits, _, _ = content.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 8 else 0
        record = content[len(digits) + 1 : length]
        key, equals, value = record.partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise ArchiveDamaged(f"damaged pax records at byte {at}", item=origin)
        records[key.decode(errors="surrogateescape")] = value[:-1].decode(errors="surrogateescape")
        content = content[length:]
    return records
