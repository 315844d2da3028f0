"""Makes the seek index of a subset: `saco seek-index`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from saco_data.config.settings import Settings
from saco_data.engine.subset import Subset, bind_one
from saco_data.model.errors import UsageError
from saco_data.model.records import Asset, Product
from saco_data.sources import Context
from saco_data.sources import seek_index as indices
from saco_data.sources.annotation_files import Annotations
from saco_data.sources.archives import ArchiveSource
from saco_data.storage import files


@dataclass(frozen=True)
class Written:
    """An index file that was written: its digest, archives, members, and members not found."""

    path: str
    sha256: str
    bytes: int
    archives: int
    members: int
    missing: int

    def as_json(self) -> dict[str, Any]:
        """The keys of `saco seek-index --json`."""
        return asdict(self)


def write(
    settings: Settings, name: str, to: Path, tell: Callable[[str], None] = lambda _: None
) -> Written:
    """Reads the archives of a subset to their end, and writes where its files are in them.

    `tell` gets a line before each archive. What an earlier run left that read the whole archive is
    used instead, if nothing is missing in it. Raises UsageError for a subset without a tar.gz, and
    what the source raises.
    """
    subset = bind_one(settings, name)
    source = subset.source
    if not (isinstance(source, ArchiveSource) and subset.manifest.raw.is_tar_gz):
        raise UsageError(
            "its raw files are in no tar.gz",
            item=subset.id,
            remedy="Only subsets that are published as tar.gz have a seek index",
        )
    Annotations().ensure(subset.config)
    assets = _assets(subset)
    own = indices.own_index(source)
    if found := indices.count_rows(own):
        archives, members = found
        if members == len(assets):
            files.copy_if_changed(own, to)
            return _written(to, archives, members, 0)
    parts = list(indices.record(source, assets, Context(), tell))
    from saco_data.transports.seek_index import rows

    rows.write(to, [(archive, found) for archive, found, _ in parts])
    members = sum(len(found) for _, found, _ in parts)
    missing = len(assets) - sum(count for *_, count in parts)
    return _written(to, len(parts), members, missing)


def _written(to: Path, archives: int, members: int, missing: int) -> Written:
    return Written(str(to), files.sha256_of(to), to.stat().st_size, archives, members, missing)


def _assets(subset: Subset) -> list[Asset]:
    products: dict[str, list[Product]] = {}
    for product in subset.read_index().products.values():
        products.setdefault(subset.source.key_of(product), []).append(product)
    return [Asset(key, tuple(own)) for key, own in products.items()]
