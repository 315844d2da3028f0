"""Food Recognition 2022: `public_validation_set_2.0/images/<last _-part of the stem><suffix>`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import PurePosixPath

from saco_data.model.records import Product
from saco_data.sources.archives import ArchiveSource


class Fetcher(ArchiveSource):
    """MyFoodRepo-273 pictures, bytes unchanged; annotation names carry a prefix."""

    name = "food_rec"
    FOLDER = "/public_validation_set_2.0/images/"

    def key_of(self, product: Product) -> str:
        path = PurePosixPath(product.file_name)
        return path.stem.rpartition("_")[2] + path.suffix

    def key_of_member(self, name: str, wanted: Collection[str]) -> str | None:
        _, found, file_name = f"/{name}".rpartition(self.FOLDER)
        return file_name if found and file_name in wanted else None
