"""Copies in the formats of other tools: one file a format, a table of them here.

A format is a function `write(place, sources, one_class)`. What it needs is installed by the extra
that the table names, and imported late.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

from saco_data.catalog.manifest import Manifest
from saco_data.config.installation import how_to_install
from saco_data.dataset.dataset import Dataset, Subset
from saco_data.dataset.masked_pictures import MaskedSubset
from saco_data.export.counts import Counts
from saco_data.export.place import UNFINISHED, open_place
from saco_data.export.source import Source
from saco_data.model.errors import UsageError

__all__ = ["FORMATS", "Counts", "Exported", "Format", "export"]


@dataclass(frozen=True)
class Format:
    """A format: its module, and the extra of saco-data that it needs ("" for none).

    `has_classes`: phrases become classes, so that `one_class` makes a difference.
    """

    module: str
    extra: str = ""
    has_classes: bool = False


FORMATS = {
    "coco": Format("coco", has_classes=True),
    "yolo": Format("yolo", "yolo", has_classes=True),
    "webdataset": Format("webdataset"),
    "parquet": Format("hugging_face"),
    "fiftyone": Format("fiftyone"),
    "croissant": Format("croissant"),
}


@dataclass(frozen=True)
class Exported:
    """What was written: counts by subset, and what each says of itself."""

    counts: dict[str, Counts]
    facts: dict[str, dict[str, Any]]

    def as_json(self) -> dict[str, Any]:
        """Plain data, as in `export.json`."""
        return {
            "version": 1,
            "subsets": {
                name: {**asdict(each), **self.facts[name]} for name, each in self.counts.items()
            },
        }


def export(
    name: str,
    dataset: Dataset,
    manifests: Mapping[str, Manifest],
    to: str,
    *,
    one_class: bool = False,
) -> Exported:
    """Writes the subsets of a prepared copy in a format; `manifests` says which, by id.

    `one_class`: one class "object" instead of a class for each phrase. Raises UsageError for a
    format, a subset or a place that does not fit, Incomplete where a picture is missing.
    """
    how = FORMATS[name]
    if one_class and not how.has_classes:
        fitting = ", ".join(key for key, each in FORMATS.items() if each.has_classes)
        raise UsageError(f"{name} has no classes", remedy=f"--one-class is for {fitting}")
    sources = [_source(dataset, id_, manifest) for id_, manifest in manifests.items()]
    place = open_place(to)
    try:
        write = importlib.import_module(f"saco_data.export.{how.module}").write
    except ImportError as error:
        if not how.extra:
            raise
        raise UsageError(
            f"{name} needs {error.name}", remedy=f"Run `{how_to_install(how.extra)}`"
        ) from error
    place.write(UNFINISHED, b"")
    counts: dict[str, Counts] = write(place, sources, one_class)
    done = Exported(counts, {source.manifest.id: source.facts() for source in sources})
    content = {"format": name, "saco_data": metadata.version("saco-data"), **done.as_json()}
    place.write("export.json", json.dumps(content, indent=1).encode())
    place.finish()
    return done


def _source(dataset: Dataset, name: str, manifest: Manifest) -> Source:
    if name not in dataset:
        raise UsageError("is not prepared", item=name, remedy=f"Run `saco prepare {name}` first")
    subset = dataset[name]
    if isinstance(subset, MaskedSubset):
        raise UsageError(
            "holds masks without phrases", item=name, remedy="Read it with `saco_data.load`"
        )
    if not isinstance(subset, Subset):
        raise UsageError(
            "holds videos with masks, not phrases", item=name, remedy="Use `saco convert vos`"
        )
    return Source(subset, manifest)
