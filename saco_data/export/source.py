"""What exporters read: subsets of a prepared copy, and how much of each is here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pycocotools import mask as rle

from saco_data.catalog.manifest import Manifest
from saco_data.dataset.dataset import Subset
from saco_data.dataset.item import Item, Picture
from saco_data.dataset.pruned import sidecar
from saco_data.dataset.raw_json import value_of
from saco_data.model.errors import Incomplete
from saco_data.storage import untrusted_json


@dataclass(frozen=True)
class Coverage:
    """How much of a subset an export holds. `missing`: number of files by reason.

    `is_partial`: files are missing that are not gone, so that numbers are not comparable.
    """

    image_nps: tuple[int, int]
    missing: dict[str, int]
    is_partial: bool
    keep_list_sha256: str

    def as_json(self) -> dict[str, Any]:
        """Plain data: what every export says of itself."""
        return {
            "image_nps": list(self.image_nps),
            "missing_files": self.missing,
            "comparable": not self.is_partial,
            "keep_list_sha256": self.keep_list_sha256,
            "note": self.in_words(),
        }

    def in_words(self) -> str:
        """One sentence for people."""
        here, total = self.image_nps
        said = f"{here} of {total} image-NPs"
        if self.is_partial:
            return f"{said}: not comparable, files are missing that are not gone"
        return f"{said}: the others are gone" if here < total else f"all {total} image-NPs"


@dataclass(frozen=True)
class Source:
    """A subset to export."""

    subset: Subset
    manifest: Manifest

    @property
    def name(self) -> str:
        """The name of the subset in files: `nga`, `sa-v-val`."""
        return self.manifest.id.replace("/", "-")

    def pictures(self) -> Iterator[Picture]:
        """Each picture once. Raises Incomplete where its file is missing."""
        for picture in self.subset.pictures():
            if not picture.path.is_file():
                raise Incomplete(
                    "the picture is missing",
                    item=str(picture.path),
                    remedy=f"Run `saco prepare {self.manifest.id}`",
                )
            yield picture

    @cached_property
    def coverage(self) -> Coverage:
        """How much of it is here, by the record beside its annotation file."""
        files = self.subset.files
        try:
            record = untrusted_json.parse(sidecar(files.annotations).read_bytes())
            ids = {str(k): len(v) for k, v in record["removed_ids_by_reason"].items()}
            missing = {str(k): len(v) for k, v in record["removed_files_by_reason"].items()}
            digest = str(record["keep_list_sha256"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            ids, missing, digest = {}, {}, ""
        here = len(self.subset)
        total = here + sum(ids.values())
        return Coverage((here, total), missing, files.whole is not None, digest)

    def phrases(self) -> dict[str, int]:
        """Each phrase with its number, from 0, in alphabetical order."""
        return {text: at for at, text in enumerate(sorted({each.phrase for each in self.subset}))}

    def facts(self) -> dict[str, Any]:
        """Title, licence, citation, coverage: what every export says of itself."""
        return {
            "title": self.manifest.title,
            "licence": self.manifest.licence,
            "citation": self.manifest.citation,
            "page": self.manifest.access.page,
            "coverage": self.coverage.as_json(),
        }


def rles_of(item: Item) -> list[dict[str, Any]]:
    """The masks of an item as compressed RLE: `size` is [height, width], `counts` text.

    Raises AnnotationError where one is damaged.
    """
    _ = item.masks  # checks each
    found = [value_of(each.segmentation) for each in item.annotations]
    return [{"size": list(each["size"]), "counts": each["counts"]} for each in found]


def area_of(mask: dict[str, Any]) -> int:
    """The number of pixels of a compressed RLE."""
    return int(rle.area({"size": mask["size"], "counts": mask["counts"].encode()}))
