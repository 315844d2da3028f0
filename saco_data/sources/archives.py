"""What the sources share whose raw medium is an extracted folder, an archive, or its URL."""

from __future__ import annotations

import contextlib
import functools
import re
import time
import zipfile
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saco_data.config.yaml_text import is_url, without_user
from saco_data.model.errors import Blocked, SacoError
from saco_data.model.finding import Finding, fail
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.sources.base import Context, Source
from saco_data.sources.diagnosis import check_link, check_local
from saco_data.transports.base import Stopped
from saco_data.transports.link_expiry import expiry, when

if TYPE_CHECKING:
    from saco_data.transports.archive import Member


class ArchiveSource(Source):
    """A folder, an archive or its URL, whose members the manifest's patterns name.

    Subclasses may find names in another way; reading archives is the transport's business.
    """

    def key_of(self, product: Product) -> str:
        members = self.manifest.raw.members
        if members is None or members.product is None:
            return super().key_of(product)
        match = re.fullmatch(members.product, product.file_name, re.DOTALL)
        return match["key"] if match else product.file_name

    def key_of_member(self, name: str, wanted: Collection[str]) -> str | None:
        """The key in `wanted` that a member of this name is, or None.

        The pattern may begin at any folder on the way down: mirrors have other roots.
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

    def diagnose(self) -> Iterator[Finding]:
        access = self.manifest.access
        try:
            raw = self.raw()
        except Blocked as error:
            yield fail(self.name, f"{error.item}: {error.what}", error.remedy)
            return
        except SacoError as error:
            yield fail(self.name, error.what, error.remedy)
            return
        if isinstance(raw, str):
            yield check_link(self.name, raw, f"{access.steps} ({access.page})")
        elif raw is not None and not self.missing_requirement():
            yield check_local(self.name, raw)
        else:
            what, _, remedy = self.missing_requirement().partition(". ")
            yield fail(self.name, what, remedy)

    def probe_address(self) -> str | None:
        raw = self.raw()
        return raw if isinstance(raw, str) else None

    def raw(self) -> str | Path | None:
        """The raw medium: what the config names, else the manifest's URL."""
        if "archive" in self.manifest.endpoints:
            default: str | None = self.config.endpoint("archive")
        else:
            default = None
        return self.config.raw or default

    def _named(self) -> str | Path | None:
        """The raw medium, or None where it cannot be told: fetching says why."""
        try:
            return self.raw()
        except Blocked:
            return None

    def is_local(self) -> bool:
        return isinstance(self._named(), Path)

    def missing_requirement(self) -> str:
        try:
            raw = self._existing()
        except Blocked as error:
            return f"{error.what}. {error.remedy}"
        ends = expiry(raw) if isinstance(raw, str) else None
        if ends is not None and ends < time.time():
            return f"the link ran out on {when(ends)}. {self.manifest.access.steps}"
        return ""

    def local_sizes(self, keys: Collection[str]) -> dict[str, int]:
        """Of members too, where a folder or the directory of a zip tells them."""
        sizes = super().local_sizes(keys)
        raw, wanted = self._named(), set(keys) - sizes.keys()
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
            pass  # fetching says what is wrong with it
        return sizes

    def unpacks(self) -> bool:
        raw = self._named()
        return self.manifest.frames and isinstance(raw, Path) and not raw.is_dir()

    def location(self) -> str:
        raw = self._named()
        if isinstance(raw, Path):
            try:
                status = raw.stat()
            except OSError:
                return str(raw)
            # A folder may be completed at any time; an archive changes as a whole.
            return f"{raw} {status.st_size} {status.st_mtime_ns}" if raw.is_file() else str(raw)
        if raw is None:
            return ""
        # A signed link is another one each time and from anywhere; its archive is known by name.
        place, signed, _ = raw.partition("?")
        return place.rpartition("/")[2] if signed else without_user(place)

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
        raw = self._existing()
        with contextlib.suppress(Stopped):
            if isinstance(raw, str):
                with self.open_http() as http:
                    place = http.open(raw, stop=context.stop)
                    yield from self._members(place, wanted, context)
            else:
                yield from self._members(raw, wanted, context)

    def _members(
        self, place: Any, wanted: dict[str, Asset], context: Context
    ) -> Iterator[Arrival | Outcome]:
        from saco_data.transports import archive

        folder = place if isinstance(place, Path) and place.is_dir() else None
        # A user may name any folder on the way down to the files: match against the whole path.
        prefix = f"{place}/" if folder else ""
        origin = str(place) if isinstance(place, Path) else place.origin
        published = self.manifest.endpoints.get("archive")
        checkpoint = self.config.folder / ".archive-index"
        reader = archive.members(
            place,
            lambda name: self.key_of_member(prefix + name, wanted) is not None,
            checkpoint=None if isinstance(place, Path) else checkpoint,
            # A mirror or a copy packed anew may be as good: only the published place is held to it.
            md5=self.manifest.raw.md5 if self.raw() == published else None,
            stop=context.stop,
        )
        for member in reader:
            if context.stop.is_set():
                return
            key = self.key_of_member(prefix + member.name, wanted)
            if key is None:
                continue
            asset = wanted.pop(key)
            where = f"{origin}#{member.name}"
            if member.refusal:
                yield self.outcome(asset, Reason.ARCHIVE_DAMAGED, member.refusal, where)
            elif folder:
                yield Arrival(asset, folder / member.name, where)
            else:
                yield self._taken(asset, member, where, keep=not isinstance(place, Path))
            if not wanted:
                return
        missing = Reason.NOT_IN_FOLDER if folder else Reason.NOT_IN_ARCHIVE
        for asset in wanted.values():
            yield self.outcome(asset, missing, f"no such file in {origin}", origin)

    def _taken(self, asset: Asset, member: Member, where: str, *, keep: bool) -> Arrival | Outcome:
        """What a member holds, as a file where it is to be kept or is a video."""
        from saco_data.transports.archive import ArchiveDamaged

        try:
            if not keep and not self.manifest.frames:
                return Arrival(asset, member.read(), where)
            path = self.raw_path(asset.key)
            member.save(path)
        except ArchiveDamaged as error:
            if not error.alone:
                raise
            return self.outcome(asset, error.reason, error.what, where)
        return Arrival(asset, path, where, owned=True)

    def _existing(self) -> str | Path:
        raw = self.raw()
        if raw is None:
            raise Blocked(
                "the raw medium is not at hand",
                item=self.name,
                remedy=f"{self.manifest.access.steps} ({self.manifest.access.page})",
                reason=Reason.RAW_MISSING,
            )
        if isinstance(raw, Path) and not raw.exists():
            raise Blocked(
                f"{without_user(str(raw))} does not exist",
                item=self.name,
                remedy="Correct the path that names it",
                reason=Reason.RAW_MISSING,
            )
        if isinstance(raw, str) and not is_url(raw):
            raise Blocked(
                f"`endpoints: {self.name}_archive` is no URL of http(s)",
                item=self.name,
                remedy="Correct it in the config",
                reason=Reason.RAW_MISSING,
            )
        return raw
