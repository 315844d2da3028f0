"""Takes wanted members out of a folder, a .zip, a .tar or a .tar.gz, on disk or while it streams.

Only wanted members are extracted, and members with unsafe names are refused. The kind of an archive
is told from its content, not from its name.

A checkpoint is an index of the members, and of the points where the gzip stream can be entered.
With it a killed run continues by ranged requests where it stopped, and a later run that misses
members goes straight to them. It needs a server that honours ranges and names the version of its
file; elsewhere an interrupted run starts at the beginning. A zip on a server without ranges is
first downloaded into a temporary file, because a zip's directory is at its end.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import tempfile
import threading
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.storage.disk_errors import explain_errors
from saco_data.transports.archive import kinds
from saco_data.transports.archive.folder import folder_members
from saco_data.transports.archive.gzips import Gunzip
from saco_data.transports.archive.index import Index
from saco_data.transports.archive.local import LocalFile
from saco_data.transports.archive.raw import Raw
from saco_data.transports.archive.safety import ArchiveDamaged, Member
from saco_data.transports.archive.stream import Plain, Recorder
from saco_data.transports.archive.tars import looks_like_tar, tar_members
from saco_data.transports.archive.zips import zip_members
from saco_data.transports.base import RangeReader

__all__ = ["ArchiveDamaged", "Member", "members"]

_log = logging.getLogger(__name__)

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
GZIP = b"\x1f\x8b"


def members(
    archive: Path | RangeReader,
    wanted: Callable[[str], bool],
    *,
    checkpoint: Path | None = None,
    checksum: str | None = None,
    stop: threading.Event | None = None,
    recorder: Recorder | None = None,
) -> Generator[Member, None, None]:
    """The members whose name is `wanted`, each once, in the order of the archive.

    The content of a member can be read until the next one is asked for. Of two members with one
    name the first counts. When the iterator ends, the whole archive was seen, now or (checkpoint)
    by earlier runs: a member that was not yielded is not in it. `checksum`, an md5 or sha256 of the
    whole file, is compared if all of it was read in this process. `recorder` notes where the wanted
    members of a tar.gz are, if it is read from its first byte on.

    Raises ArchiveDamaged (cut, damaged, not an archive), Blocked (a path that does not exist), and
    the errors of the RangeReader. To stop, close the iterator, or set `stop` in mid-member, which
    raises Stopped: both keep the checkpoint.
    """
    if isinstance(archive, Path):
        if archive.is_dir():
            yield from folder_members(archive, wanted)
            return
        archive = _open_local(archive)
    reader: RangeReader = archive
    head, begun = _read_head(reader)
    if head.startswith(ZIP):
        if begun is None and reader.size is not None:
            yield from zip_members(reader, wanted)
            return
        raw = Raw(reader, windowed=False, checksum=checksum, begun=begun, stop=stop)
        yield from _downloaded_zip(raw, wanted, checkpoint)
        return
    gzipped = head.startswith(GZIP)
    if gzipped and _inflate_head(head).startswith((*ZIP, GZIP)):
        _log.warning("%s is packed by gzip once more; it is unpacked first", reader.origin)
        raw = Raw(reader, windowed=False, checksum=checksum, begun=begun, stop=stop)
        yield from _unpacked(raw, wanted, checkpoint)
        return
    if not gzipped and not looks_like_tar(head):
        what, remedy = kinds.describe(head, reader.origin)
        foreign = kinds.is_packed(head)
        raise ArchiveDamaged(what, item=reader.origin, remedy=remedy, foreign=foreign)
    index = Index(checkpoint if reader.seekable else None, reader.identity, reader.size)
    # Only what is read from the first byte on can be recorded.
    recorder = recorder if gzipped and not index.next else None
    hashed = recorder is not None
    raw = Raw(
        reader, windowed=not gzipped, checksum=checksum, hashed=hashed, begun=begun, stop=stop
    )
    try:
        stream = Gunzip(raw, index, recorder) if gzipped else Plain(raw, index)
        yield from tar_members(stream, wanted, index)
        if recorder and (whole := raw.md5()):
            recorder.finish(whole)
    except ArchiveDamaged as error:
        if not error.cut:
            # The index may come from the same damaged bytes.
            index.discard()
        raise
    finally:
        raw.close()


def _open_local(path: Path) -> LocalFile:
    try:
        return LocalFile(path)
    except OSError as error:
        raise Blocked(
            f"cannot be read ({error.strerror or error})",
            item=str(path),
            remedy="Put the archive there, or correct the path in the config",
            reason=Reason.RAW_MISSING,
        ) from error


def _read_head(reader: RangeReader) -> tuple[bytes, Iterator[bytes] | None]:
    """The first 512 bytes; where ranges are not honoured, also the stream from byte 0 on."""
    if reader.seekable:
        return reader.read_at(0, 512), None
    pieces = reader.stream(0)
    head = b""
    while len(head) < 512 and (piece := next(pieces, b"")):
        head += piece
    return head, itertools.chain([head], pieces)


def _inflate_head(head: bytes) -> bytes:
    """The beginning of what a gzip holds, as far as its first bytes tell; b"" if damaged."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, 16)
    except zlib.error:
        return b""


def _unpacked(raw: Raw, wanted: Callable[[str], bool], checkpoint: Path | None) -> Iterator[Member]:
    """The members of an archive that was packed by gzip, as some servers do on their own."""

    def inflate() -> Iterator[bytes]:
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        try:
            while piece := raw.read_piece():
                while piece:
                    yield inflater.decompress(piece, 1 << 20)
                    piece = inflater.unconsumed_tail
        except zlib.error as error:
            raise ArchiveDamaged(f"its gzip is damaged ({error})", item=raw.reader.origin) from None
        if not inflater.eof:
            raise ArchiveDamaged("its gzip is cut", item=raw.reader.origin, cut=True)

    with _copy(raw, inflate(), checkpoint) as path:
        yield from members(path, wanted)


def _downloaded_zip(
    raw: Raw, wanted: Callable[[str], bool], checkpoint: Path | None
) -> Iterator[Member]:
    with _copy(raw, iter(raw.read_piece, b""), checkpoint) as path:
        yield from zip_members(LocalFile(path), wanted)


@contextlib.contextmanager
def _copy(raw: Raw, pieces: Iterator[bytes], checkpoint: Path | None) -> Iterator[Path]:
    """A temporary file with these pieces, which come from `raw`."""
    folder = checkpoint.parent if checkpoint else Path(tempfile.gettempdir())
    # Named like all temporary files, so that one left by a killed process is removed.
    suffix = f".{os.getpid()}-0.saco-tmp"
    try:
        with explain_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".archive.", suffix=suffix) as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                raw.finish()
                yield Path(file.name)
    finally:
        raw.close()
