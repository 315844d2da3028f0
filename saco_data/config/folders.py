"""Whether the folders that the config names can be made or entered."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from saco_data.config.yaml_text import Where, is_bucket
from saco_data.model.errors import DiskTrouble

if TYPE_CHECKING:
    from saco_data.config.settings import Settings

_COMMON = ("path_annotations", "silver_path", "state_path", "directory_save")
_REMEDY = "Choose another folder, or make this one accessible"


def check_folders(settings: Settings, where: Where) -> None:
    """Raises ConfigError, with file, line and key, for a folder that no command can use."""
    for key, given in _folders(settings):
        if problem := _find_problem(settings.path(given)):
            raise where.error(key, problem, _REMEDY)


def _folders(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each key that names a folder, with its value."""
    for key in _COMMON:
        value = getattr(settings.keys, key)
        if value and not is_bucket(value):
            yield key, value
    for name in settings.registry.ids:
        if given := settings.by_subset.get(f"{name}_path"):
            yield f"{name}_path", given
    for name, keys in settings.keys.collections.items():
        if keys.path:
            yield f"collections.{name}.path", keys.path


def _find_problem(path: Path) -> str:
    """Why a folder, or the nearest one above it that exists, cannot be entered; "" if it can."""
    for folder in (path, *path.parents):
        try:
            mode = folder.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            # A disk in trouble is told where it is used: it may be well again then.
            trouble = error.errno in DiskTrouble.ERRNOS
            return "" if trouble else f"{folder} cannot be entered ({error.strerror})"
        if not stat.S_ISDIR(mode):
            return f"{folder} is not a folder"
        return "" if os.access(folder, os.X_OK) else f"{folder} cannot be entered"
    return ""
