"""Objects365: each picture is in one of many tar.gz archives, which its path names."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saco_data.model.reasons import Reason, State
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sources import seek_index
from saco_data.sources.archives import ArchiveSource
from saco_data.sources.base import Context, Source
from saco_data.transports.base import Failure, Stopped

if TYPE_CHECKING:
    from saco_data.transports.http import Http

_PATCH = re.compile(r"(?:.*/)?(?P<patch>v\d+/patch\d+)/[^/]+")


class PatchesSource(ArchiveSource):
    """The archives below an address, or a folder of archives or of their unpacked pictures.

    One archive after the other is read as far as its last wanted picture. One that is missing or
    damaged costs only its own pictures, which are tried again in the next run.
    """

    is_sharded = True

    def group_by_archive(self, assets: Sequence[Asset]) -> dict[str, list[Asset]]:
        return {patch: [*here.values()] for patch, here in group_by_patch(assets).items()}

    def unpacks(self) -> bool:
        return False

    def local_sizes(self, keys: Collection[str]) -> dict[str, int]:
        return Source.local_sizes(self, keys)

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        missing = yield from self.yield_on_disk(assets)
        by_patch = group_by_patch(missing.values())
        for asset in missing.values():
            if not find_patch(asset):
                detail = "its path does not name an archive (v<number>/patch<number>)"
                yield self.outcome(asset, Reason.NOT_IN_CATALOGUE, detail)
        if not by_patch:
            return
        raw = self.require_raw()
        with contextlib.suppress(Stopped), contextlib.ExitStack() as stack:
            http = None
            if isinstance(raw, str):
                most = seek_index.connections(self)
                http = stack.enter_context(self.open_http(concurrency=most))
            for patch in sorted(by_patch, key=_number):
                wanted = by_patch[patch]
                try:
                    medium = _open(raw, patch, http, context.stop)
                    index = f".{patch.replace('/', '-')}.archive-index"
                    yield from self._fetch_members(medium, wanted, context, index)
                except Failure as failure:
                    # An archive that is missing says nothing about its pictures: not gone.
                    is_failed = failure.reason.state is State.FAILED
                    reason = failure.reason if is_failed else Reason.HTTP_ERROR
                    detail = f"{patch}.tar.gz: {failure.what}"
                    for asset in wanted.values():
                        yield self.outcome(asset, reason, detail, failure.item)

    def media(
        self, assets: Sequence[Asset], http: Http, stop: threading.Event
    ) -> Iterator[tuple[Any, dict[str, Asset]]]:
        by_patch = group_by_patch(assets)
        for patch in sorted(by_patch, key=_number):
            yield _open(self.require_raw(), patch, http, stop), by_patch[patch]


def _open(raw: str | Path, patch: str, http: Http | None, stop: threading.Event) -> Any:
    """The archive of a patch: an open remote file, a path, or the folder of unpacked pictures."""
    if isinstance(raw, str):
        assert http is not None
        return http.open(f"{raw.rstrip('/')}/{patch}.tar.gz", stop=stop)
    return find_archive(raw, patch) or raw


def group_by_patch(assets: Iterable[Asset]) -> dict[str, dict[str, Asset]]:
    """The assets by key, by the archive that their path names; without those that name none."""
    by_patch: dict[str, dict[str, Asset]] = {}
    for asset in assets:
        if patch := find_patch(asset):
            by_patch.setdefault(patch, {})[asset.key] = asset
    return by_patch


def find_patch(asset: Asset) -> str:
    """The archive of a picture as `v1/patch4`; "" where its path does not name one."""
    match = _PATCH.fullmatch(asset.products[0].file_name)
    return match["patch"] if match else ""


def find_archive(folder: Path, patch: str) -> Path | None:
    """An archive in a folder that the user has: `v1/patch4.tar.gz` or `patch4.tar.gz` in it."""
    name = f"{patch.rpartition('/')[2]}.tar.gz"
    tries = (folder / f"{patch}.tar.gz", folder / name, folder / "images" / f"{patch}.tar.gz")
    return next((path for path in tries if path.is_file()), None)


def _number(patch: str) -> int:
    return int(re.sub(r".*patch", "", patch))
