"""What is on disk: listings, file systems, and cleaning up after a killed run."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from zlib import crc32

from saco_data.model.errors import DiskTrouble, OutputError
from saco_data.storage.files import is_temporary

_PARKED = ".saco-old"  # suffix of a raw file while its newer version is being fetched
_PART_NOTE = ".part.json"  # suffix of the note beside a partial download (`transports.http.part`)
_OURS = (".saco-tmp", _PARKED, _PART_NOTE)
STAGING = ".saco-download"  # the folder of a download that is checked before it is installed
CLI_STAGING = ".ego4d-cli"  # the folder that the official ego4d CLI downloads into
_STAGING = (STAGING, CLI_STAGING)
PROBE = ".saco-doctor-"  # prefix of the folder in which `saco doctor` tries a file system
# Writers that hold no lock (card, report, annotations) touch their files more often than this.
IDLE_SECONDS = 900.0


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


def cache_folder(*parts: str) -> Path:
    """A folder of what can be made again: below `$XDG_CACHE_HOME/saco-data`."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).joinpath("saco-data", *parts)


def list_files(
    folder: Path, *, without: str | None = None, left: list[Path] | None = None
) -> dict[str, int]:
    """The size in bytes of every file below a folder, by its name relative to the folder.

    Links to folders are not followed, and the folder `without` in it is left out. A missing folder
    has no files. `left` takes in what `sweep_found` is to look at, which is not listed then. Raises
    OutputError if a folder cannot be read.
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
            if error.errno in DiskTrouble.ERRNOS:
                raise DiskTrouble(
                    f"cannot be read ({error.strerror})",
                    item=str(folder / prefix),
                    remedy=DiskTrouble.REMEDY,
                ) from error
            raise OutputError(
                f"cannot be read ({error.strerror})",
                item=str(folder / prefix),
                remedy="Make it readable or choose another folder in the config",
            ) from error
        for entry in entries:
            name = f"{prefix}{entry.name}"
            is_folder = entry.is_dir(follow_symlinks=False)
            if left is not None and _is_ours(entry.name, is_folder=is_folder):
                left.append(Path(entry.path))
                continue
            if is_folder:
                if name != without:
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


def sweep(folder: Path, *, below: bool = True, idle_seconds: float = 0) -> None:
    """Removes what killed processes of ours left in a folder, and with `below` in those below it.

    These are temporary files and staging folders, and the note of a download whose part is no
    longer there. A parked raw file gets its name back, or is removed if another copy has
    arrived. `idle_seconds`: leaves what was touched more recently, for folders that are written
    without the lock. What cannot be removed stays.
    """
    sweep_found(list(_list_ours(folder, below=below)), idle_seconds=idle_seconds)


def sweep_found(paths: Iterable[Path], *, idle_seconds: float = 0) -> None:
    """As `sweep`, for files and folders that were found before (see `list_files`)."""
    for path in paths:
        with contextlib.suppress(OSError):
            if idle_seconds and time.time() - _last_touched(path) < idle_seconds:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif is_temporary(path.name) or _is_note_without_part(path):
                path.unlink(missing_ok=True)
            elif path.name.endswith(_PARKED):
                original = path.with_name(path.name[1 : -len(_PARKED)])
                if original.exists():
                    path.unlink()
                else:
                    path.replace(original)


def _list_ours(folder: Path, *, below: bool) -> Iterator[Path]:
    """Files and folders whose names only this tool gives, and which `sweep` looks at."""
    pending = [folder]
    while pending:
        here = pending.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    is_folder = entry.is_dir(follow_symlinks=False)
                    if _is_ours(entry.name, is_folder=is_folder):
                        yield Path(entry.path)
                    elif is_folder and below:
                        pending.append(Path(entry.path))
        except OSError:
            continue


def _is_ours(name: str, *, is_folder: bool) -> bool:
    if is_folder:
        return name in _STAGING or name.startswith(PROBE) or is_temporary(name)
    return name.startswith(".") and name.endswith(_OURS)


def _is_note_without_part(path: Path) -> bool:
    return path.name.endswith(_PART_NOTE) and not path.with_suffix("").exists()


def _last_touched(path: Path) -> float:
    inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
    times: list[float] = [each.lstat().st_mtime for each in (path, *inside)]
    return max(times)
