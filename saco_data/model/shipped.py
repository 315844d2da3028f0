"""What the package brings beside its code: manifests, docs, the default config."""

from __future__ import annotations

from pathlib import Path


def find(name: str) -> Path:
    """The path of a file or folder: inside an installed package, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / name
    return inside if inside.exists() else package.parent / name
