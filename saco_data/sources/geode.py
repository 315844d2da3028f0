"""GeoDE: `images/<file_path>` becomes `<file_path with / replaced by _>`, matched by stem."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

from saco_data.model.records import Product
from saco_data.sources.archives import ArchiveSource


class Fetcher(ArchiveSource):
    """Photographs from the GeoDE zip, bytes unchanged."""

    name = "geode"

    def key_of(self, product: Product) -> str:
        return PurePosixPath(product.file_name).stem

    def key_of_member(self, name: str, wanted: Collection[str]) -> str | None:
        # Any of several `images` folders on the way down may be the one that counts.
        parts = name.split("/")
        for at, part in enumerate(parts, 1):
            stem = PurePosixPath("_".join(parts[at:])).stem
            if part == "images" and stem in wanted:
                return stem
        return None
