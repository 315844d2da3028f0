"""The sources of raw media: one small module for each source that needs its own code."""

from __future__ import annotations

import importlib
from importlib import metadata
from typing import TYPE_CHECKING

from saco_data.model.errors import ManifestError
from saco_data.sources.base import BESIDE, Context, Source

if TYPE_CHECKING:
    from saco_data.config.subset import SubsetConfig

__all__ = ["BESIDE", "Context", "Source", "make"]

ENTRY_POINTS = "saco_data.sources"
# The classes of this package by the name that a manifest gives (`source:`).
_SOURCES = {
    "droid": "droid:DroidSource",
    "ego4d": "ego4d:Ego4dSource",
    "fathomnet": "fathomnet:FathomnetSource",
    "inaturalist": "inaturalist:InaturalistSource",
    "listed": "listed:ListedSource",
    "nga": "nga:NgaSource",
    "o365": "o365:PatchesSource",
    "sa1b": "sa1b:Sa1bSource",
    "sav-train": "sav_train:SavTrainSource",
    "sav": "sav:SavSource",
    "yt1b": "yt1b:Yt1bSource",
}


def make(config: SubsetConfig) -> Source:
    """The source of a subset: the class that its manifest names, else one for archives.

    Another package registers classes under the entry point group `saco_data.sources`.
    Raises ManifestError for a name that is not registered.
    """
    name = config.manifest.source
    if name is None:
        from saco_data.sources.archives import ArchiveSource

        return ArchiveSource(config)
    if name in _SOURCES:
        module, _, attribute = _SOURCES[name].partition(":")
        kind = getattr(importlib.import_module(f"saco_data.sources.{module}"), attribute)
    else:
        entries = list(metadata.entry_points(group=ENTRY_POINTS, name=name))
        if not entries:
            raise ManifestError(
                f"no source is registered under the name {name!r}",
                item=config.id,
                remedy=f"Install the package that brings it, or name one of: {', '.join(_SOURCES)}",
            )
        kind = entries[0].load()
    source: Source = kind(config)
    return source
