"""The source of subsets whose raw media are members of an archive or files of a folder."""

from __future__ import annotations

import contextlib
import functools
import re
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saco_data.model.errors import SacoError
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.sources.base import Context
from saco_data.sources.raw_medium import RawMediumSource
from saco_data.transports.base import Stopped

if TYPE_CHECKING:
    from saco_data.transports.archive import Member


class ArchiveSource(RawMediumSource):
    """A folder, an archive or its URL; the manifest's patterns give the keys of its members.

    Subclasses may find keys in another way (`key_of_member`).
    """

    def key_of(self, product: Product) -> str:
        members = self.manifest.raw.members
        if members is None or members.product is None:
            return super().key_of(product)
        match = re.fullmatch(members.product, product.file_name, re.DOTALL)
        return match["key"] if match else product.file_name

    def key_of_member(self, name: str, wanted: Collection[str]) -> str | None:
        """The key of a member if it is in `wanted`, else None.

        The pattern may match from any folder of the path: mirrors have other roots.
        """
        if self._member is None:
            return None
        start = 0
        while start >= 0:
            match = self._member.fullmatch(name, start)
            if match:
                key = match["key"].replace("/", self._slash)
                if key in wanted:
                    return key
            start = name.find("/", start) + 1 or -1
        return None

    @functools.cached_property
    def _member(self) -> re.Pattern[str] | None:
        members = self.manifest.raw.members
        return re.compile(members.member, re.DOTALL) if members else None

    @property
    def _slash(self) -> str:
        members = self.manifest.raw.members
        return members.slash if members else "/"

    def local_sizes(self, keys: Collection[str]) -> dict[str, int]:
        """Also the sizes of members, from a folder or the directory of a zip."""
        sizes = super().local_sizes(keys)
        raw, wanted = self.find_raw(), set(keys) - sizes.keys()
        if not wanted or not isinstance(raw, Path):
            return sizes
        from saco_data.transports import archive

        prefix = f"{raw}/" if raw.is_dir() else ""
        try:
            if not prefix and not zipfile.is_zipfile(raw):
                return sizes
            for member in archive.members(
                raw, lambda name: self.key_of_member(prefix + name, wanted) is not None
            ):
                key = self.key_of_member(prefix + member.name, wanted)
                if key is not None:
                    sizes[key] = member.size
        except (SacoError, OSError):
            pass  # fetching reports the fault
        return sizes

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        wanted: dict[str, Asset] = {}
        for asset in assets:
            path = self.raw_path(asset.key)
            if path.is_file():
                yield Arrival(asset, path, "", owned=True)
            else:
                wanted[asset.key] = asset
        if not wanted:
            return
        raw = self.require_raw()
        with contextlib.suppress(Stopped):
            if isinstance(raw, str):
                with self.open_http() as http:
                    remote = http.open(raw, stop=context.stop)
                    yield from self._fetch_members(remote, wanted, context)
            else:
                yield from self._fetch_members(raw, wanted, context)

    def _fetch_members(
        self,
        medium: Any,
        wanted: dict[str, Asset],
        context: Context,
        checkpoint: str = ".archive-index",
    ) -> Iterator[Arrival | Outcome]:
        """Reads the wanted members of a folder, an archive (both Path) or an open remote file.

        `wanted` keeps those that were not seen. `checkpoint`: the name of the file that lets a
        later run go on in the middle of a remote archive.
        """
        from saco_data.transports import archive

        is_remote = not isinstance(medium, Path)
        folder = medium if isinstance(medium, Path) and medium.is_dir() else None
        # The user may name any folder above the files: match against the whole path.
        prefix = f"{medium}/" if folder else ""
        origin = medium.origin if is_remote else str(medium)
        reader = archive.members(
            medium,
            lambda name: self.key_of_member(prefix + name, wanted) is not None,
            checkpoint=self.config.folder / checkpoint if is_remote else None,
            # Only at the published address: mirrors may have packed the same files again.
            md5=self.manifest.raw.md5 if self._is_published() else None,
            stop=context.stop,
        )
        for member in reader:
            if context.stop.is_set():
                return
            key = self.key_of_member(prefix + member.name, wanted)
            if key is None:
                continue
            asset = wanted.pop(key)
            member_origin = f"{origin}#{member.name}"
            if member.refusal:
                yield self.outcome(asset, Reason.ARCHIVE_DAMAGED, member.refusal, member_origin)
            elif folder:
                yield Arrival(asset, folder / member.name, member_origin)
            else:
                yield self._extract(asset, member, member_origin, keep=is_remote)
            if not wanted:
                return
        missing = Reason.NOT_IN_FOLDER if folder else Reason.NOT_IN_ARCHIVE
        for asset in wanted.values():
            yield self.outcome(asset, missing, f"no such file in {origin}", origin)

    def _is_published(self) -> bool:
        return self.raw() == self.manifest.endpoints.get("archive")

    def _extract(
        self, asset: Asset, member: Member, origin: str, *, keep: bool
    ) -> Arrival | Outcome:
        """The content of a member: as a file if it is a video or `keep` is set, else as bytes."""
        from saco_data.transports.archive import ArchiveDamaged

        try:
            if not keep and not self.manifest.frames:
                return Arrival(asset, member.read(), origin)
            path = self.raw_path(asset.key)
            member.save(path)
        except ArchiveDamaged as error:
            if not error.alone:
                raise
            return self.outcome(asset, error.reason, error.what, origin)
        return Arrival(asset, path, origin, owned=True)
