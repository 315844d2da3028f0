"""BDD100K: `**/100k/train/<file_name>`; the root differs between mirrors."""

from __future__ import annotations

from collections.abc import Collection

from saco_data.sources.archives import ArchiveSource


class Fetcher(ArchiveSource):
    """Images of the 100K training set, bytes unchanged."""

    name = "bdd100k"

    def key_of_member(self, name: str, wanted: Collection[str]) -> str | None:
        _, found, file_name = f"/{name}".rpartition("/100k/train/")
        return file_name if found and file_name in wanted else None
