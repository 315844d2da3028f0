"""The names of the subsets, and what their manifests say."""

from __future__ import annotations

from saco_data.catalog.manifest import Manifest
from saco_data.catalog.registry import builtin

SILVER = builtin().select([])
VIDEO_SUBSETS = tuple(name for name in SILVER if builtin().find(name).frames)


def manifest(name: str) -> Manifest:
    """The manifest of a subset."""
    return builtin().find(name)
