"""What is on disk: listings, file systems, and cleaning up after a killed run."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from zlib import crc32

from saco_data.model.errors import OutputError
from saco_data.storage.disk_errors import explain_errors
from saco_data.storage.files import is_temporary

_PARKED = ".saco-old"  # suffix of a raw file while its newer version is being fetched


def device_of(path: Path) -> int:
    """The number of the file system that holds, or would hold, a path."""
    return nearest_existing(path).stat().st_dev


def nearest_existing(path: Path) -> Path:
    """The path, or the nearest folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def mount_of(path: Path) -> Path:
    """The highest folder above a path on the same file system."""
    number = path.stat().st_dev
    while path != path.parent and path.parent.stat().st_dev == number:
        path = path.parent
    return path


def list_files(folder: Path) -> dict[str, int]:
    """The size in bytes of every file below a folder, by its name relative to the folder.

    Links to folders are not followed. A missing folder has no files. Raises OutputError if a folder
    cannot be read.
    """
    sizes: dict[str, int] = {}
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            entries = list(os.scandir(folder / prefix))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise OutputError(
                f"cannot be read ({error.strerror})",
                item=str(folder / prefix),
                remedy="Make it readable or choose another folder in the config",
            ) from error
        for entry in entries:
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                pending.append(f"{name}/")
                continue
            with contextlib.suppress(OSError):  # a broken link, or the file has just gone
                if entry.is_file():
                    sizes[name] = entry.stat().st_size
    return sizes


def fingerprint(folder: Path) -> list[int] | None:
    """[number, checksum] of the names and sizes of all files below a folder.

    It changes when a file appears, disappears or changes its size. Twice as fast as `list_files`.
    None if a folder cannot be read; a missing folder has no files.
    """
    count = total = 0
    root, pending = os.fsencode(folder), [b""]
    try:
        if not folder.exists():
            return [0, 0]
        while pending:
            prefix = pending.pop()
            start = crc32(prefix)
            with os.scandir(os.path.join(root, prefix)) as entries:  # noqa: PTH118 - bytes
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(prefix + entry.name + b"/")
                    else:
                        count += 1
                        total += crc32(entry.name, start ^ (entry.stat().st_size & 0xFFFFFFFF))
    except OSError:
        return None
    return [count, total]


def park_old_raw(path: Path) -> bool:
    """Renames a raw file of ours until another copy has arrived; see `sweep`.

    Returns whether the name is free now.
    """
    try:
        path.replace(path.with_name(f".{path.name}{_PARKED}"))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def sweep(folder: Path) -> None:
    """Removes temporary files of a killed run below a folder.

    A parked raw file gets its name back, or is removed if another copy has arrived.
    """
    for name in list_files(folder):
        path = folder / name
        with explain_errors(path):
            if is_temporary(path.name):
                path.unlink(missing_ok=True)
            elif path.name.startswith(".") and path.name.endswith(_PARKED):
                original = path.with_name(path.name[1 : -len(_PARKED)])
                if original.exists():
                    path.unlink()
                else:
                    path.replace(original)
