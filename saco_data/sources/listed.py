"""Subsets without an annotation file: the members of the archive are the products.

An archive that streams is read once: its wanted members are unpacked into the raw folder, and when
its end is reached, the listing is written. An archive or folder at hand is only listed. So is an
archive that streams, where the config chooses files by what all archives hold: what is wanted is
fetched afterwards, by ranges.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saco_data.dataset import listing
from saco_data.dataset.listing import Found
from saco_data.model.errors import Blocked, Incomplete
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.sources import checksums
from saco_data.sources.archives import ArchiveSource
from saco_data.sources.base import Context
from saco_data.sources.sav import find_link
from saco_data.storage import folders
from saco_data.storage.background import Background
from saco_data.storage.names import UnsafeName, safe_join
from saco_data.transports.base import Stopped

if TYPE_CHECKING:
    from saco_data.config.subset import SubsetConfig
    from saco_data.transports.archive import ArchiveDamaged, Member
    from saco_data.transports.http import Http

log = logging.getLogger(__name__)

EXPIRED = (Reason.LINK_EXPIRED, Reason.UNAUTHORIZED)


class ListedSource(ArchiveSource):
    """Archives named by a links file, a link, archives at hand or their unpacked folder."""

    is_sharded = True

    def __init__(self, config: SubsetConfig) -> None:
        super().__init__(config)
        # What `read_archive` found, for `fetch`: it may not stand in the listing yet.
        self._just_read: dict[str, Found] = {}

    def key_of(self, product: Product) -> str:
        return product.file_name

    def archives(self) -> tuple[str, ...]:
        """The names of the archives to read."""
        return (str(self.manifest.raw.archive),)

    def raw(self) -> str | Path | None:
        return self.raw_of(self.archives()[0])

    def raw_of(self, archive: str) -> str | Path | None:
        """Where an archive is: what the config names, else its link. Raises Blocked."""
        given, links = self.config.raw, self.config.links_file
        if isinstance(given, Path) and (given / archive).is_file():
            return given / archive
        if given or links is None:
            return given
        return find_link(links, archive)

    def find_key(self, name: str) -> str | None:
        """The key of any member that is a product; None for other members."""
        assert self._member is not None
        start = 0
        while start >= 0:
            if match := self._member.fullmatch(name, start):
                return self.file_name_of(match["key"])
            start = name.find("/", start) + 1 or -1
        return None

    def key_in(self, archive: str, name: str) -> str | None:
        """The key of a member of this archive, under which it is unpacked; None for others."""
        return self.find_key(name)

    def file_name_of(self, key: str) -> str:
        """The name of the file that a member becomes."""
        return key

    def key_of_member(self, name: str, wanted: Collection[str]) -> str | None:
        key = self.find_key(name)
        return key if key in wanted else None

    def tells(self, key: str) -> bool:
        """Whether the content of a member is needed for the listing; see `learn`."""
        return False

    def learn(self, key: str, content: bytes, found: Found) -> None:
        """Adds to the listing what the content of a member tells."""

    def unlisted(self) -> list[str]:
        return self.find_lacking(listing.read_archives(self.config.pristine))

    def find_lacking(self, known: Mapping[str, Found]) -> list[str]:
        """The archives of which these records do not tell enough."""
        return [
            name for name in self.archives() if name not in known or not self.is_enough(known[name])
        ]

    def is_enough(self, found: Found) -> bool:
        """Whether the record of an archive tells all that the config asks."""
        return True

    def write_listing(self, context: Context) -> list[str]:
        """See `Source.write_listing`. The listing is written after each archive.

        Raises Blocked, Failure, ArchiveDamaged; Incomplete where the run is to stop.
        """
        missing = self.unlisted()
        if missing:
            self.require_raw()
            folders.sweep(self.config.raw_folder)
        read = []
        for archive in missing:
            listing.add(self.config.pristine, archive, self.read_archive(archive, context))
            read.append(archive)
            if self._unpacks(archive):
                break
        return read

    def read_archive(self, archive: str, context: Context) -> Found:
        found = self._read(archive, context)
        if not found.names:
            raise Blocked(
                "holds no file of this subset",
                item=archive,
                remedy=f"Correct `collections: {self.manifest.collection}` in the config",
                reason=Reason.RAW_MISSING,
            )
        self._just_read[archive] = found
        return found

    def group_by_archive(self, assets: Sequence[Asset]) -> dict[str, list[Asset]]:
        by_key = {asset.key: asset for asset in assets}
        grouped: dict[str, list[Asset]] = {}
        for archive, found in self._find_listed().items():
            # One that two archives hold is taken from the first.
            if here := [by_key.pop(name) for name in sorted(found.names) if name in by_key]:
                grouped[archive] = here
        return grouped

    def _find_listed(self) -> dict[str, Found]:
        return {**listing.read_archives(self.config.pristine), **self._just_read}

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        wanted = yield from self.yield_on_disk(assets)
        if not wanted:
            return
        self.require_raw()
        for archive, found in self._find_listed().items():
            here = {name: wanted[name] for name in found.names if name in wanted}
            if here:
                yield from self._fetch_from(archive, here, context)

    def _fetch_from(
        self, archive: str, wanted: dict[str, Asset], context: Context
    ) -> Iterator[Arrival | Outcome]:
        raw = self.raw_of(archive)
        with contextlib.suppress(Stopped), self._asking_for_links():
            if isinstance(raw, Path):
                yield from self._fetch_members(raw, wanted, context)
                return
            with self.open_http() as http:
                remote = http.open(str(raw), stop=context.stop)
                yield from self._fetch_members(remote, wanted, context, _checkpoint(archive))

    def _unpacks(self, archive: str) -> bool:
        """Whether reading an archive for the listing also unpacks it."""
        return not (self.chooses_by_content() or isinstance(self.raw_of(archive), Path))

    def _begin(self) -> Found:
        """The record of an archive of which nothing was read yet."""
        return Found()

    def _read(self, archive: str, context: Context) -> Found:
        """All files of an archive; one that streams is unpacked as well."""
        from saco_data.transports.archive import ArchiveDamaged

        raw, found = self.raw_of(archive), self._begin()
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(self._asking_for_links())
                http = None if isinstance(raw, Path) else stack.enter_context(self.open_http())
                try:
                    if self._unpacks(archive):
                        self._unpack(http, raw, archive, found, context)
                    else:
                        self._list(http, raw, archive, found, context)
                except ArchiveDamaged as error:
                    if not self._is_as_published(http, raw, archive, error, context):
                        self._remove_doubtful(found.names, error)
                        raise
                    if not self._is_last_whole(http, raw, archive, found):
                        found.names.discard(found.last)
                    self._tell_of_source(archive, found, error)
        except Stopped:
            raise Incomplete(
                "stopped while it was read", item=archive, remedy="Run again to go on"
            ) from None
        return found

    def _list(
        self, http: Http | None, raw: str | Path | None, name: str, found: Found, context: Context
    ) -> None:
        from saco_data.transports import archive

        is_here, medium = isinstance(raw, Path), _open(raw, http, context.stop)
        prefix = f"{raw}/" if isinstance(raw, Path) and raw.is_dir() else ""

        def tells(member: str) -> bool:
            key = self.find_key(prefix + member)
            if key:
                found.see(key)
            return key is not None and self.tells(key)

        checkpoint = None if is_here else self.config.folder / _checkpoint(name)
        for member in archive.members(medium, tells, checkpoint=checkpoint, stop=context.stop):
            key = self.find_key(prefix + member.name)
            if key and not member.refusal:
                self.learn(key, member.read(), found)

    def _unpack(
        self, http: Http | None, raw: str | Path | None, name: str, found: Found, context: Context
    ) -> None:
        from saco_data.transports import archive

        checkpoint = None if isinstance(raw, Path) else self.config.folder / _checkpoint(name)
        begun: set[str] = set()

        def is_missing(member: str) -> bool:
            key = self.key_in(name, member)
            if key is None:
                return False
            found.see(key)
            # Of two members for one file the first counts.
            return key not in begun and self._is_missing(key)

        # Files are synced while the next ones arrive. One that a killed run did not finish is
        # missing in the next run, which then asks for its bytes alone.
        with Background() as background:
            for member in archive.members(
                _open(raw, http, context.stop),
                is_missing,
                checkpoint=checkpoint,
                checksum=self._find_checksum(http, name),
                stop=context.stop,
            ):
                key = self.key_in(name, member.name)
                if key is not None and not member.refusal:  # fetching tells why
                    begun.add(key)
                    self._save(member, key, background, context)

    def _is_missing(self, key: str) -> bool:
        """Whether a member is wanted, and neither itself nor all that is made of it is here."""
        products = self.products_of(key)
        try:
            return not self.raw_path(key).is_file() and not all(
                safe_join(self.config.images, each.file_name).exists() for each in products
            )
        except UnsafeName:
            return False  # the plan refuses it

    def _save(self, member: Member, key: str, background: Background, context: Context) -> None:
        from saco_data.transports.archive import ArchiveDamaged

        def finish(complete: Callable[[], None]) -> None:
            complete()
            context.unpacked(key)

        try:
            member.save(self.raw_path(key), lambda complete: background.call(finish, complete))
        except ArchiveDamaged as error:
            if not error.alone:
                raise

    def _remove_doubtful(self, names: Iterable[str], error: ArchiveDamaged) -> None:
        """Removes what was unpacked where it may come from damaged bytes."""
        from saco_data.storage.fetched import is_fetched

        if error.cut:
            return
        for key in names:
            with contextlib.suppress(UnsafeName):
                path = self.raw_path(key)
                if is_fetched(path):
                    path.unlink(missing_ok=True)

    def _is_as_published(
        self,
        http: Http | None,
        raw: str | Path | None,
        archive: str,
        error: ArchiveDamaged,
        context: Context,
    ) -> bool:
        """Whether a damaged archive has the published checksum; it is read once more for that."""
        from saco_data.transports.archive.local import LocalFile
        from saco_data.transports.archive.raw import Digest

        checksum = None if error.foreign else self._find_checksum(http, archive)
        if checksum is None:
            return False
        is_here, medium = isinstance(raw, Path), _open(raw, http, context.stop)
        digest = Digest(checksum)
        try:
            for piece in (LocalFile(medium) if is_here else medium).stream():
                if is_here and context.stop.is_set():
                    raise Stopped
                digest.update(piece)
            return digest.matches()
        finally:
            digest.close()

    def _is_last_whole(
        self, http: Http | None, raw: str | Path | None, archive: str, found: Found
    ) -> bool:
        """Whether the last file that was seen in a damaged archive can be read to its end."""
        from saco_data.transports.archive import ArchiveDamaged, members

        if self._unpacks(archive):
            return not self._is_missing(found.last)
        try:
            for member in members(_open(raw, http), lambda name: self.find_key(name) == found.last):
                return member.refusal != "" or len(member.read()) == member.size
        except ArchiveDamaged:
            pass
        return False

    def _tell_of_source(self, archive: str, found: Found, error: ArchiveDamaged) -> None:
        """Says that an archive was published damaged; what it holds before the damage counts."""
        log.warning(
            "%s: %s. It has the published checksum, so it is damaged at its source; the %d files "
            "before the damage are used. When another one is published, remove %s",
            archive,
            error.what,
            len(found.names),
            self.config.pristine,
            extra={"subset": self.name},
        )

    def _find_checksum(self, http: Http | None, archive: str) -> str | None:
        return checksums.find_published(archive, self.config.raw, self.config.links_file, http)

    @contextlib.contextmanager
    def _asking_for_links(self) -> Iterator[None]:
        """A context in which the error of an expired link asks for a new links file."""
        try:
            yield
        except Blocked as error:
            if error.reason not in EXPIRED:
                raise
            raise Blocked(
                error.what,
                item=error.item,
                remedy=f"Get a fresh links file from {self.manifest.access.page}, name it in "
                f"`collections: {self.manifest.collection}: {{links_file: ...}}`, and run again: "
                "it goes on where it stopped",
                reason=Reason.LINK_EXPIRED,
            ) from error


def _open(raw: str | Path | None, http: Http | None, stop: threading.Event | None = None) -> Any:
    """An archive to read: a path as it is, an address by `http`."""
    if isinstance(raw, Path):
        return raw
    assert http is not None
    return http.open(str(raw), stop=stop)


def _checkpoint(archive: str) -> str:
    return f".{archive}.archive-index"
