"""Small annotation files in the shape of SA-Co."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saco_data.catalog.registry import builtin


def annotate(folder: Path, subset: str, document: Mapping[str, Any] | str | bytes) -> Path:
    """Writes an annotation file where the config of `folders.config` looks for it."""
    path = folder / "annotations" / builtin().find(subset).annotations.file
    path.parent.mkdir(exist_ok=True)
    if isinstance(document, Mapping):
        document = json.dumps(document)
    path.write_bytes(document.encode() if isinstance(document, str) else document)
    return path


def image(number: int, file_name: str, **fields: Any) -> dict[str, Any]:
    """An entry of `images[]`."""
    return {
        "id": 10_000_000 + number,
        "file_name": file_name,
        "text_input": "a thing",
        "width": 160,
        "height": 120,
        "queried_category": "3",
        "is_instance_exhaustive": 1,
        "is_pixel_exhaustive": 1,
        **fields,
    }


def document(*images: dict[str, Any], masks: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """An annotation file with these entries."""
    return {
        "info": {"description": "test"},
        "images": list(images),
        "annotations": masks or [],
        "categories": [{"id": 1, "name": "object"}],
    }
