"""Refuses a place where nothing can be written before the work begins, not after it."""

from __future__ import annotations

import stat
import tempfile
from pathlib import Path

from saco_data.model.errors import OutputError
from saco_data.storage import folders
from saco_data.storage.disk_errors import explain_errors
from saco_data.storage.names import UnsafeName

_REMEDY = "Make that folder writable, or name another place"


def require_target(path: Path, *, is_folder: bool = False) -> None:
    """Raises OutputError where no file `path` can be written, or no files in the folder `path`.

    A pipe, socket or device is refused too: renaming a finished file would replace it.
    """
    try:
        with explain_errors(path):
            there = folders.nearest_existing(path)
            mode = there.stat().st_mode
    except UnsafeName as error:
        raise OutputError(str(error), remedy="Name another place") from error
    if there == path and not is_folder:
        if stat.S_ISDIR(mode):
            raise OutputError("is a folder", item=str(path), remedy="Name a file in it")
        if not stat.S_ISREG(mode):
            raise OutputError(
                "is a pipe, socket or device, not a file",
                item=str(path),
                remedy="Name another place",
            )
        there = path.parent
    elif not stat.S_ISDIR(mode):
        raise OutputError("is not a folder", item=str(there), remedy="Name another place")
    try:
        # A test of the permissions would not do: /proc grants the superuser all of them.
        tempfile.TemporaryFile(dir=there).close()
    except FileNotFoundError as error:
        raise OutputError("takes no files", item=str(there), remedy="Name another place") from error
    except OSError as error:
        raise OutputError(
            f"cannot write there ({error.strerror})", item=str(there), remedy=_REMEDY
        ) from error
