"""Objects365: each picture is in one of many tar.gz archives, which its path names."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from saco_data.model.reasons import Reason, State
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sources.archives import ArchiveSource
from saco_data.sources.base import Context, Source
from saco_data.transports.base import Failure, Stopped

_PATCH = re.compile(r"(?:.*/)?(?P<patch>v\d+/patch\d+)/[^/]+")


class PatchesSource(ArchiveSource):
    """The archives below an address, or a folder of archives or of their unpacked pictures.

    One archive after the other is read as far as its last wanted picture. One that is missing or
    damaged costs only its own pictures, which are tried again in the next run.
    """

    def unpacks(self) -> bool:
        return False

    def local_sizes(self, keys: Collection[str]) -> dict[str, int]:
        return Source.local_sizes(self, keys)

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        by_patch: dict[str, dict[str, Asset]] = {}
        missing = yield from self.yield_on_disk(assets)
        for asset in missing.values():
            patch = find_patch(asset)
            if patch:
                by_patch.setdefault(patch, {})[asset.key] = asset
            else:
                detail = "its path does not name an archive (v<number>/patch<number>)"
                yield self.outcome(asset, Reason.NOT_IN_CATALOGUE, detail)
        if not by_patch:
            return
        raw = self.require_raw()
        with contextlib.suppress(Stopped), contextlib.ExitStack() as stack:
            http = stack.enter_context(self.open_http()) if isinstance(raw, str) else None
            for patch in sorted(by_patch, key=_number):
                wanted = by_patch[patch]
                try:
                    medium: Any
                    if http is not None:
                        url = f"{str(raw).rstrip('/')}/{patch}.tar.gz"
                        medium = http.open(url, stop=context.stop)
                    else:
                        medium = find_archive(Path(raw), patch) or Path(raw)
                    index = f".{patch.replace('/', '-')}.archive-index"
                    yield from self._fetch_members(medium, wanted, context, index)
                except Failure as failure:
                    # An archive that is missing says nothing about its pictures: not gone.
                    is_failed = failure.reason.state is State.FAILED
                    reason = failure.reason if is_failed else Reason.HTTP_ERROR
                    detail = f"{patch}.tar.gz: {failure.what}"
                    for asset in wanted.values():
                        yield self.outcome(asset, reason, detail, failure.item)


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
