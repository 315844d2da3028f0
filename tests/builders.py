"""Small real things to test with: annotation files, configs and whole subsets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from saco_data.catalog.manifest import load as manifest
from saco_data.config.settings import FILE_NAME, Settings, load
from saco_data.sandbox.miniature import Subset, build


def config(folder: Path, **keys: Any) -> Settings:
    """A config file in `folder` with these keys, loaded."""
    path = folder / FILE_NAME
    path.write_text(yaml.safe_dump({"path_annotations": "annotations", "jobs": 2, **keys}))
    return load(path)


def annotate(folder: Path, subset: str, document: Mapping[str, Any] | str | bytes) -> Path:
    """Lays an annotation file where `config` looks for it."""
    path = folder / "annotations" / manifest(subset).annotations.file
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


def miniature(folder: Path, name: str, *, seed: int = 0) -> Subset:
    """A miniature subset: annotations in `folder/annotations`, raw media in memory."""
    return build(folder, [name], seed=seed).subsets[name]


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder by relative name, but for those that hold times of day."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".saco" not in path.parts and path.suffix != ".parquet"
    }
