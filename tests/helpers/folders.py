"""Folders: the config in one, files into one, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from saco_data.config.settings import FILE_NAME, Settings, load


def config(folder: Path, **keys: Any) -> Settings:
    """A config file in `folder` with these keys, loaded."""
    path = folder / FILE_NAME
    path.write_text(yaml.safe_dump({"path_annotations": "annotations", "jobs": 2, **keys}))
    return load(path)


def write_files(folder: Path, contents: Mapping[str, bytes]) -> Path:
    """Writes files by relative name; returns the folder."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """All files below a folder by relative name, without those that hold times of day."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".saco" not in path.parts and path.suffix != ".parquet"
    }
