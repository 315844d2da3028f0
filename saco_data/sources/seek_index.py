"""Seek indices of archives: fetching what one names, and making one.

An index is only a help. Whatever is doubtful about it ends in one line and in the ordinary way,
which reads the archive from its beginning.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saco_data.config.yaml_text import is_url, without_user
from saco_data.model.errors import Blocked, Incomplete, OutputError, UsageError
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.model.version import __version__
from saco_data.sources import documents
from saco_data.sources.base import Context
from saco_data.storage import files
from saco_data.transports.base import Expect, Failure, RangeReader

if TYPE_CHECKING:
    from saco_data.sources.archives import ArchiveSource
    from saco_data.transports.seek_index.recorder import Recorder
    from saco_data.transports.seek_index.rows import Archive, Row

log = logging.getLogger(__name__)

# Requests at once where the config sets no limit, and how many times those of other fetching: each
# brings one picture, so most of the time goes into waiting for its beginning.
CONNECTIONS, _TIMES = 28, 4
_OWN = ".seek-index.jsonl.gz"  # left by a run that read the whole archive
_REST = 0.05  # share of an archive that is read for the index alone


def connections(source: ArchiveSource) -> int:
    """How many requests may be under way at once."""
    limits = source.config.keys.limits.get(source.name)
    polite = source.config.rates.concurrency
    if source.config.seek_index is None or (limits and limits.concurrency):
        return polite
    return max(polite, min(CONNECTIONS, _TIMES * polite))


def fetch_named(
    source: ArchiveSource, medium: Any, wanted: dict[str, Asset], context: Context
) -> Iterator[Arrival | Outcome]:
    """Yields what the index of the config finds in an archive; `wanted` keeps the others.

    `medium`: the path of an archive, or an open remote file.
    """
    if source.config.seek_index is None or (isinstance(medium, Path) and medium.is_dir()):
        return
    from saco_data.transports.archive import Member
    from saco_data.transports.archive.local import LocalFile
    from saco_data.transports.seek_index.fetching import IndexDoubted, take_members
    from saco_data.transports.seek_index.rows import BadIndex

    is_remote = not isinstance(medium, Path)
    reader: RangeReader = medium if is_remote else LocalFile(medium)

    def extract(row: Row, content: bytes) -> Arrival | Outcome:
        asset = wanted[keys[row.name]]
        member = Member(row.name, row.size, _pieces=lambda: iter([content]))
        return source.extract(asset, member, f"{reader.origin}#{row.name}", keep=is_remote)

    try:
        by_key = _rows(source, reader, wanted)
        keys = {row.name: key for key, row in by_key.items()}
        if is_remote:
            medium.require_version()
        for found in take_members(
            reader,
            list(by_key.values()),
            extract,
            connections=connections(source),
            stop=context.stop,
        ):
            del wanted[found.asset.key if isinstance(found, Arrival) else found.key]
            yield found
    except (BadIndex, IndexDoubted, OutputError) as error:
        why = error.what if isinstance(error, OutputError) else str(error)
        _say(source, f"the seek index is not used ({why})", reader)
        return
    if wanted and not context.stop.is_set():
        _say(source, f"{len(wanted)} files are not in the seek index, or not right there", reader)


def _say(source: ArchiveSource, what: str, reader: RangeReader) -> None:
    log.warning(
        "%s; %s is read from its beginning", what, reader.origin, extra={"subset": source.name}
    )


def _rows(source: ArchiveSource, reader: RangeReader, wanted: dict[str, Asset]) -> dict[str, Row]:
    """The row of each wanted member, by its key. Raises BadIndex, OutputError."""
    from saco_data.transports.seek_index import rows as index

    if not reader.seekable:
        raise index.BadIndex("the server does not honour ranges")
    path = _file(source)
    found = index.read(
        path,
        lambda archive: archive.size == reader.size,
        lambda name: source.key_of_member(name, wanted) is not None,
    )
    if found is None:
        raise index.BadIndex(f"it is of no archive of {reader.size} bytes")
    archive, rows = found
    if archive.url == reader.origin and archive.etag and archive.etag != reader.identity:
        raise index.BadIndex("the archive has another ETag by now")
    if source.published_md5() not in (None, archive.md5):
        raise index.BadIndex("it is of an archive with another md5 than the published one")
    return {source.key_of_member(row.name, wanted) or "": row for row in reversed(rows)}


def _file(source: ArchiveSource) -> Path:
    """The file of the index, with the digest that somebody vouches for. Raises BadIndex."""
    from saco_data.transports.seek_index.rows import BadIndex

    assert source.config.seek_index is not None
    place, sha256 = source.config.seek_index
    try:
        if not isinstance(place, Path):
            path = source.config.folder / f".seek-index.{sha256[:16]}.jsonl.gz"
            if sha256 and not (path.is_file() and files.sha256_of(path) == sha256):
                with source.open_http() as http:
                    expect = Expect(sha256=sha256)
                    documents.fetch(http, place, path, lambda _: None, expect, "")
        else:
            path = place
        if not sha256:
            raise BadIndex(
                "its digests prove nothing unless you trust its maker: if so, write its sha256 "
                f"behind its name: `{source.config.seek_index_key}: ...#sha256=...`"
            )
        if files.sha256_of(path) != sha256:
            raise BadIndex(f"{path} has another sha256 than the one that is pinned")
    except (Failure, Blocked) as error:
        raise BadIndex(f"{without_user(str(place))}: {error.what}") from None
    except OSError as error:
        raise BadIndex(f"{path} cannot be read: {error.strerror}") from None
    return path


def recorder_of(source: ArchiveSource, medium: Any) -> Recorder | None:
    """What notes the places of members while this medium is read; None where it is not needed."""
    is_remote = not isinstance(medium, Path)
    if not (is_remote and medium.seekable and source.manifest.raw.is_tar_gz):
        return None
    from saco_data.transports.seek_index import blocks, recorder

    if own_index(source).exists() or source.config.seek_index or not blocks.is_available():
        return None
    return recorder.Recorder()


def is_worth_finishing(recorder: Recorder | None, medium: Any) -> bool:
    """Whether the rest of the archive is so short that it is read for the index."""
    return recorder is not None and recorder.read >= (1 - _REST) * (medium.size or 0) > 0


def keep(source: ArchiveSource, recorder: Recorder | None, medium: Any) -> None:
    """Writes what was recorded, if the whole archive was read."""
    if recorder is not None and recorder.md5 and recorder.rows:
        from saco_data.transports.seek_index import rows

        rows.write(own_index(source), [(_describe(recorder, medium), recorder.rows)])


def own_index(source: ArchiveSource) -> Path:
    """Where a run that reads a whole archive leaves its index."""
    return source.config.folder / _OWN


def count_rows(path: Path) -> tuple[int, int] | None:
    """The numbers of archives and of members in an index; None if there is none, or a bad one."""
    from saco_data.transports.seek_index import rows

    archives: list[Archive] = []

    def see(archive: Archive) -> bool:
        archives.append(archive)
        return False

    try:
        rows.read(path, see, lambda _: False)
    except (OutputError, OSError, rows.BadIndex):
        return None
    return len(archives), sum(archive.rows for archive in archives)


def _describe(recorder: Recorder, reader: RangeReader) -> Archive:
    from saco_data.transports.seek_index.rows import FORMAT, Archive

    return Archive(
        format=FORMAT,
        name=reader.origin.rpartition("/")[2],
        url=reader.origin if is_url(reader.origin) else "",
        size=recorder.read,
        md5=recorder.md5 or "",
        etag=reader.identity if is_url(reader.origin) else "",
        rows=len(recorder.rows),
        by=f"saco-data {__version__}",
    )


def record(
    source: ArchiveSource, assets: list[Asset], context: Context, tell: Callable[[str], None]
) -> Iterator[tuple[Archive, list[Row], int]]:
    """For each archive what identifies it, its rows, and how many wanted files they give.

    Reads every archive from its first byte to its last; `tell` gets a line before that. Raises
    UsageError, ArchiveDamaged, Failure, Blocked; Incomplete once the context's `stop` is set;
    Stopped in mid-archive.
    """
    from saco_data.transports import archive
    from saco_data.transports.archive.local import LocalFile
    from saco_data.transports.seek_index import blocks
    from saco_data.transports.seek_index.recorder import Recorder

    if not blocks.is_available():
        raise UsageError(
            "this build of zlib-ng cannot be asked for block boundaries",
            remedy="Install zlib-ng from PyPI: pip install --force-reinstall zlib-ng",
        )
    with source.open_http() as http:
        for medium, wanted in source.media(assets, http, context.stop):
            if isinstance(medium, Path) and medium.is_dir():
                raise _no_tar_gz(str(medium))
            reader: RangeReader = LocalFile(medium) if isinstance(medium, Path) else medium
            tell(f"reading {reader.origin} ({(reader.size or 0) / 1e9:.1f} GB) to its end")
            recorder = Recorder()

            def is_wanted(name: str, wanted: dict[str, Asset] = wanted) -> bool:
                return source.key_of_member(name, wanted) is not None

            for _ in archive.members(
                medium,
                is_wanted,
                checksum=source.published_md5(),
                stop=context.stop,
                recorder=recorder,
            ):
                if context.stop.is_set():
                    raise Incomplete("stopped", item=source.name, remedy="Run the command again")
            if recorder.md5 is None:
                raise _no_tar_gz(reader.origin)
            found = {source.key_of_member(row.name, wanted) for row in recorder.rows}
            yield _describe(recorder, reader), recorder.rows, len(found)


def _no_tar_gz(origin: str) -> UsageError:
    return UsageError(
        "is not a tar.gz: only that needs a seek index",
        item=origin,
        remedy="Name the tar.gz itself in the config",
    )
