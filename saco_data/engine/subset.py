"""One subset with its config, manifest and source, bound once in a run."""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from saco_data import sources
from saco_data.catalog.manifest import Manifest
from saco_data.config.settings import Settings
from saco_data.config.subset import SubsetConfig
from saco_data.dataset import listing, pruned, raw_json
from saco_data.dataset.derive import coverage
from saco_data.dataset.index import Index, count_masks, read
from saco_data.dataset.pruned import Pruned, partial, sidecar
from saco_data.model.errors import SacoError
from saco_data.sources import Source
from saco_data.storage import folders
from saco_data.storage.files import stamp


@dataclass(frozen=True)
class Subset:
    """All that a run must know of a subset, except what the ledger holds."""

    config: SubsetConfig

    @functools.cached_property
    def source(self) -> Source:
        """Where its raw media come from. Raises ManifestError for a source without its code."""
        return sources.make(self.config)

    @property
    def id(self) -> str:
        """Its name in the ledger, the config and all output."""
        return self.config.id

    @property
    def manifest(self) -> Manifest:
        """The facts that its manifest gives."""
        return self.config.manifest

    def read_index(self) -> Index:
        """The products that annotations or listing name. Raises AnnotationError."""
        if self.manifest.is_listed:
            source = self.source
            return listing.read(
                self.config.pristine, self.manifest, source.archives(), source.products_of
            )
        return read(self.config.pristine, self.manifest)

    def is_listed_in_full(self) -> bool:
        """Whether no archive that the config names is left to be listed."""
        try:
            return not self.source.unlisted()
        except SacoError:
            return False

    def derive(self, index: Index, gone: Mapping[str, str], to: Path | None = None) -> Pruned:
        """Writes the annotations for evaluation, without the files in `gone` ({name: reason}).

        `to`: another place than that for evaluation. Nothing is written where a listing names the
        products. Raises as `pruned.run` does.
        """
        if self.manifest.is_listed:
            return listing.count_kept(index, self.manifest, gone)
        to = to or self.config.derived
        done = pruned.run(index.path, index.sha256, to, index.products, gone)
        if self.manifest.annotations.format == "coco":
            masks = count_masks(raw_json.read(to), self.manifest)
            return replace(done, masks=masks)
        return done

    def coverage(self, names: Collection[str]) -> tuple[int, int]:
        """Numbers of image-NPs and of masks that these files hold. Raises AnnotationError."""
        if self.manifest.is_listed:
            return 0, listing.count_masks(names, self.manifest)[0]
        kept = coverage(self.config.pristine, names.__contains__)
        return kept.image_nps, kept.masks

    def annotations_stamp(self) -> list[Any]:
        """The stamp of the annotation file as downloaded."""
        return stamp(self.config.pristine)

    def derived_stamp(self) -> list[Any]:
        """The stamps of the pruned annotations and of their sidecar; a listing is never pruned."""
        if self.manifest.is_listed:
            return stamp(self.config.pristine)
        return [*stamp(self.config.derived), *stamp(sidecar(self.config.derived))]

    def partial_stamp(self) -> list[Any]:
        """The stamps of the partial annotations and of their sidecar; [] where there are none."""
        path = partial(self.config.derived)
        return [*stamp(path), *stamp(sidecar(path))]

    def has_raw_files(self) -> bool:
        """Whether its raw folder has files; hidden ones are notes of ours and do not count."""
        names = folders.list_files(self.config.raw_folder)
        return not all(name.rpartition("/")[2].startswith(".") for name in names)


def bind(settings: Settings, names: Iterable[str] = ()) -> list[Subset]:
    """The subsets of these names, or the default collection without any. Raises UsageError."""
    return [bind_one(settings, name) for name in settings.registry.select(names)]


def bind_one(settings: Settings, name: str) -> Subset:
    """The subset of this name. Raises UsageError for an unknown name."""
    return Subset(settings.subset(name))
