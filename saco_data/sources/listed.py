"""Subsets without an annotation file: the members of the archive are the products.

An archive that streams is read once: its wanted members are unpacked into the raw folder, and when
its end is reached, the listing is written. An archive or folder at hand is only listed.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from saco_data.dataset import listing
from saco_data.model.errors import Blocked, Incomplete
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.sources.archives import ArchiveSource
from saco_data.sources.base import Context
from saco_data.sources.sav import find_link
from saco_data.storage import folders
from saco_data.storage.names import UnsafeName, safe_join
from saco_data.transports.base import Failure, Stopped

if TYPE_CHECKING:
    from saco_data.transports.archive import Member
    from saco_data.transports.http import Http

MD5_LIST = "sav_md5sum.chk"
MD5_LIMIT = 1 << 20  # bytes
EXPIRED = (Reason.LINK_EXPIRED, Reason.UNAUTHORIZED)


class ListedSource(ArchiveSource):
    """Archives named by a links file, a link, archives at hand or their unpacked folder."""

    def key_of(self, product: Product) -> str:
        return product.file_name

    def archives(self) -> tuple[str, ...]:
        """The names of the archives to read."""
        return (str(self.manifest.raw.archive),)

    def is_wanted(self, name: str) -> bool:
        """Whether the config asks for this product."""
        return True

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
                return self.product_of(match["key"])
            start = name.find("/", start) + 1 or -1
        return None

    def product_of(self, key: str) -> str:
        """The name of the product that a member becomes."""
        return key

    def key_of_member(self, name: str, wanted: Collection[str]) -> str | None:
        key = self.find_key(name)
        return key if key in wanted else None

    def write_listing(self, context: Context) -> list[str]:
        """Adds the archives that are not in the listing yet; returns their names.

        The listing is written after each archive. Raises Blocked, Failure, ArchiveDamaged;
        Incomplete where the run is to stop.
        """
        path = self.config.pristine
        known = listing.archives(path)
        missing = [name for name in self.archives() if name not in known]
        if missing:
            self.require_raw()
            folders.sweep(self.config.raw_folder)
        for archive in missing:
            names = self._read(archive, context)
            if not names:
                raise Blocked(
                    "holds no file of this subset",
                    item=archive,
                    remedy=f"Correct `collections: {self.manifest.collection}` in the config",
                    reason=Reason.RAW_MISSING,
                )
            known[archive] = sorted(names)
            listing.write(path, known)
        return missing

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        wanted = yield from self.yield_on_disk(assets)
        if not wanted:
            return
        self.require_raw()
        for archive, names in listing.archives(self.config.pristine).items():
            here = {name: wanted[name] for name in names if name in wanted}
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

    def _read(self, archive: str, context: Context) -> set[str]:
        """The names of all products in an archive; one that streams is unpacked as well."""
        raw = self.raw_of(archive)
        try:
            if isinstance(raw, Path):
                return self._list(raw)
            with self.open_http() as http, self._asking_for_links():
                return self._unpack(http, str(raw), archive, context)
        except Stopped:
            raise Incomplete(
                "stopped while it was read", item=archive, remedy="Run again to go on"
            ) from None

    def _list(self, raw: Path) -> set[str]:
        from saco_data.transports import archive

        names: set[str] = set()
        prefix = f"{raw}/" if raw.is_dir() else ""

        def see(name: str) -> bool:
            if key := self.find_key(prefix + name):
                names.add(key)
            return False

        for _ in archive.members(raw, see):
            pass
        return names

    def _unpack(self, http: Http, url: str, name: str, context: Context) -> set[str]:
        from saco_data.transports import archive

        names: set[str] = set()

        def is_missing(member: str) -> bool:
            key = self.find_key(member)
            if key is None:
                return False
            names.add(key)
            return self.is_wanted(key) and not self._has(key)

        try:
            for member in archive.members(
                http.open(url, stop=context.stop),
                is_missing,
                checkpoint=self.config.folder / _checkpoint(name),
                md5=self._md5(http, name),
                stop=context.stop,
            ):
                self._save(member)
        except archive.ArchiveDamaged as error:
            if not error.cut:
                # What was unpacked may come from the same damaged bytes.
                for key in names:
                    with contextlib.suppress(UnsafeName):
                        self.raw_path(key).unlink(missing_ok=True)
            raise
        return names

    def _has(self, key: str) -> bool:
        try:
            return self.raw_path(key).is_file() or safe_join(self.config.images, key).is_file()
        except UnsafeName:
            return True  # the plan refuses it

    def _save(self, member: Member) -> None:
        from saco_data.transports.archive import ArchiveDamaged

        key = self.find_key(member.name)
        if member.refusal or key is None:
            return  # fetching tells why
        try:
            member.save(self.raw_path(key))
        except ArchiveDamaged as error:
            if not error.alone:
                raise

    def _md5(self, http: Http, archive: str) -> str | None:
        """The published md5 of an archive; None where the links file does not lead to one."""
        links = self.config.links_file
        if self.config.raw or links is None:
            return None
        try:
            content = http.get(find_link(links, MD5_LIST), limit_bytes=MD5_LIMIT)
        except (Blocked, Failure):
            return None
        return find_md5(content.decode(errors="replace"), archive)

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


def _checkpoint(archive: str) -> str:
    return f".{archive}.archive-index"


def find_md5(text: str, archive: str) -> str | None:
    """The md5 of a file in the output of `md5sum`; None where it is not listed."""
    for line in text.splitlines():
        match = re.fullmatch(r"([0-9a-fA-F]{32})[ *]+(?:.*/)?([^/]+)", line.strip())
        if match and match[2] == archive:
            return match[1].lower()
    return None
