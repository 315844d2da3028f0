"""The source of subsets whose raw media are members of an archive or files of a folder."""

from __future__ import annotations

import contextlib
import functools
import logging
import re
import threading
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saco_data.config.regular import require_regular
from saco_data.model.errors import SacoError
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome, Product
from saco_data.sources import seek_index, wrong_medium
from saco_data.sources.base import Context
from saco_data.sources.elsewhere import Elsewhere
from saco_data.sources.raw_medium import RawMediumSource
from saco_data.transports.base import FileChanged, Stopped

if TYPE_CHECKING:
    from saco_data.transports.archive import Member
    from saco_data.transports.http import Http

log = logging.getLogger(__name__)

_DOUBT = ", which is not known to be the published archive: make sure that it is whole"


def _stem(origin: str) -> str:
    """The name of an archive without its endings: often that of the folder that was packed."""
    return origin.rpartition("/")[2].partition(".")[0]


class ArchiveSource(RawMediumSource):
    """A folder, an archive or its URL; the manifest's patterns give the keys of its members.

    Subclasses may find keys in another way (`key_of_member`).
    """

    def modules(self) -> tuple[str, ...]:
        if self.is_local() or not self.manifest.raw.is_tar_gz:
            return super().modules()
        return (*super().modules(), "saco_data.transports.seek_index.recorder")

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
            require_regular(raw)
            if not prefix and not zipfile.is_zipfile(raw):
                return sizes
            for member in archive.members(
                raw, lambda name: self.key_of_member(prefix + name, wanted) is not None
            ):
                key = self.key_of_member(prefix + member.name, wanted)
                if key is not None:
                    sizes[key] = member.size
                    wanted.discard(key)
                    if not wanted:
                        break  # at its end a zip is compared with all headers of its members
        except (SacoError, OSError):
            pass  # fetching reports the fault
        return sizes

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        wanted = yield from self.yield_on_disk(assets)
        if not wanted:
            return
        raw = self.require_raw()
        with contextlib.suppress(Stopped), wrong_medium.explain_damage(self, raw):
            if isinstance(raw, str):
                with self.open_http(concurrency=seek_index.connections(self)) as http:
                    remote = http.open(raw, stop=context.stop)
                    if self._is_published():
                        wrong_medium.check_not_refused(self, remote)
                    try:
                        yield from self._fetch_members(remote, wanted, context)
                    except FileChanged as changed:
                        log.warning(
                            "%s: %s; it is read again, in one stream",
                            remote.origin,
                            changed.what,
                            extra={"subset": self.name},
                        )
                        remote = http.open(raw, stop=context.stop)
                        remote.read_in_one_stream()
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

        yield from seek_index.fetch_named(self, medium, wanted, context)
        if not wanted or context.stop.is_set():
            return
        is_remote = not isinstance(medium, Path)
        recorder = seek_index.recorder_of(self, medium)
        folder = medium if isinstance(medium, Path) and medium.is_dir() else None
        # The user may name any folder above the files: match against the whole path.
        prefix = f"{medium}/" if folder else ""
        origin = medium.origin if is_remote else str(medium)
        seen = wrong_medium.Seen(len(wanted))
        elsewhere = Elsewhere({key: self.name_of(key) for key in wanted}, self._slash)

        def is_wanted(name: str) -> bool:
            seen.note(name)
            if self.key_of_member(prefix + name, wanted) is not None:
                return True
            elsewhere.add(name)
            return False

        def read(
            wanted_name: Callable[[str], bool], key_of: Callable[[str], str | None], md5: str | None
        ) -> Iterator[Arrival | Outcome]:
            for member in archive.members(
                medium,
                wanted_name,
                checkpoint=self.config.folder / checkpoint if is_remote else None,
                checksum=md5,
                stop=context.stop,
                recorder=recorder,
            ):
                if context.stop.is_set():
                    return
                key = key_of(member.name)
                if key is None:
                    continue
                asset = wanted.pop(key)
                member_origin = f"{origin}#{member.name}"
                if member.refusal:
                    yield self.outcome(asset, Reason.ARCHIVE_DAMAGED, member.refusal, member_origin)
                elif folder:
                    yield Arrival(asset, folder / member.name, member_origin)
                else:
                    yield self.extract(asset, member, member_origin, keep=is_remote)
                if not wanted and not seek_index.is_worth_finishing(recorder, medium):
                    return

        # Only at the published address: mirrors may have packed the same files again.
        md5 = self.manifest.raw.md5 if self._is_published() else None
        yield from read(is_wanted, lambda name: self.key_of_member(prefix + name, wanted), md5)
        seek_index.keep(self, recorder, medium)
        if context.stop.is_set():
            return
        moved = {
            place: key
            for place, key in elsewhere.only_places(wanted).items()
            if self._may_be_elsewhere(f"{_stem(origin)}/{place}")
        }
        if moved:
            log.warning(
                "%s: %d files are in another place than expected, such as %s; they are used",
                origin,
                len(moved),
                min(moved),
                extra={"subset": self.name},
            )
            yield from read(
                moved.__contains__,
                lambda name: key if (key := moved.get(name)) in wanted else None,
                None,
            )
        if context.stop.is_set():
            return
        if seen.wanted == len(wanted) and not any(map(elsewhere.places, wanted)):
            seen.check(self, origin, is_folder=folder is not None)
        missing = Reason.NOT_IN_FOLDER if folder else Reason.NOT_IN_ARCHIVE
        doubt = "" if folder or self._is_published() else _DOUBT
        for key, asset in wanted.items():
            if places := elsewhere.places(key):
                detail = f"{origin} has it in another place: {', '.join(places[:3])}"
                yield self.outcome(asset, Reason.ELSEWHERE, detail, origin)
            else:
                yield self.outcome(asset, missing, f"no such file in {origin}{doubt}", origin)

    def name_of(self, key: str) -> str:
        """The path, or its last parts, by which an asset is known in the archive."""
        return key

    def _may_be_elsewhere(self, path: str) -> bool:
        """Whether a file of the right name in another place can only be the wanted one.

        A picture of another size is refused later. A video at another frame rate would give wrong
        frames: it must be below the folder that the manifest names.
        """
        members = self.manifest.raw.members
        if not self.manifest.frames or members is None:
            return True
        folder = members.member.partition("(?P<key>")[0].replace("\\", "").casefold()
        return folder in path.replace("\\", "/").casefold()

    def _is_published(self) -> bool:
        return self.raw() == self.manifest.endpoints.get("archive")

    def published_md5(self) -> str | None:
        """The md5 that the archive must have: None where the config names another address."""
        own = self.manifest.endpoints.get("archive", "").rstrip("/")
        is_replaced = bool(own) and self.config.endpoint("archive") != own
        return None if is_replaced else self.manifest.raw.md5

    def media(
        self, assets: Sequence[Asset], http: Http, stop: threading.Event
    ) -> Iterator[tuple[Any, dict[str, Asset]]]:
        """Each archive, as a path or an open remote file, with the assets that it should hold."""
        raw = self.require_raw()
        medium = http.open(raw, stop=stop) if isinstance(raw, str) else raw
        yield medium, {asset.key: asset for asset in assets}

    def extract(
        self, asset: Asset, member: Member, origin: str, *, keep: bool
    ) -> Arrival | Outcome:
        """The content of a member: as a file for frames, or if `keep` is set, else as bytes."""
        from saco_data.transports.archive import ArchiveDamaged

        try:
            needs_file = any(each.is_folder for each in asset.products)
            if not (keep or self.manifest.frames or needs_file):
                return Arrival(asset, member.read(), origin, vouched=member.vouched)
            path = self.raw_path(asset.key)
            member.save(path)
        except ArchiveDamaged as error:
            if not error.alone:
                raise
            return self.outcome(asset, error.reason, error.what, origin)
        return Arrival(asset, path, origin, owned=True, vouched=member.vouched)
