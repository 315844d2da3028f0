"""One small file a source. `get` finds the source of a subset by its name."""

from __future__ import annotations

import importlib

from saco_data.config.settings import Settings
from saco_data.sources.base import Context, Source

__all__ = ["Context", "Source", "get"]


def get(subset: str, settings: Settings) -> Source:
    """The source of a subset: class `Fetcher` of the module `saco_data.sources.<subset>`."""
    module = importlib.import_module(f"saco_data.sources.{subset}")
    source: Source = module.Fetcher(settings)
    return source
