"""Prepares SA-Co/Silver and its sister data for evaluation, every frame exact.

    config -> plan -> fetch -> process -> verify -> prune -> report

The public names are imported when they are first used: `import saco_data` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from saco_data.model.version import __version__

if TYPE_CHECKING:
    from saco_data.api import Predictions, evaluate, load, plan, prepare, read_config, status

__all__ = [
    "Predictions",
    "__version__",
    "evaluate",
    "load",
    "plan",
    "prepare",
    "read_config",
    "status",
]

_HOMES = dict.fromkeys((name for name in __all__ if name != "__version__"), "saco_data.api")


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
