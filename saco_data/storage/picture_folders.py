"""Folders of pictures that are one product: every fourth frame of a video.

The ledger knows such a folder by the bytes of its pictures together and by one digest. A folder
under its final name is complete: it is filled under a temporary name and renamed.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from saco_data.storage import files
from saco_data.storage.disk_errors import explain_errors

_PICTURE = re.compile(r"\d{5,}\.jpg")


def pictures(folder: Path) -> dict[str, int]:
    """The bytes of each numbered picture in a folder by name, in order; other files do not count.

    Raises OSError where the folder cannot be read.
    """
    with os.scandir(folder) as entries:
        found = {
            entry.name: entry.stat().st_size
            for entry in entries
            if _PICTURE.fullmatch(entry.name) and entry.is_file()
        }
    return dict(sorted(found.items()))


def sizes(root: Path) -> dict[str, int]:
    """The bytes of the pictures of each folder below `root`, by its name; {} without `root`."""
    found = {}
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir() and not files.is_temporary(entry.name):
                found[entry.name] = sum(pictures(Path(entry.path)).values())
    return found


def sha256_of(path: Path) -> str:
    """The sha256 of a file; of a folder, that of its pictures' names and digests.

    Raises OSError.
    """
    if not path.is_dir():
        return files.sha256_of(path)
    return combine_sha256((name, files.sha256_of(path / name)) for name in pictures(path))


def combine_sha256(pictures: Iterable[tuple[str, str]]) -> str:
    """The sha256 of a folder from the names and digests of its pictures, in order."""
    digest = hashlib.sha256()
    for name, sha256 in pictures:
        digest.update(f"{name} {sha256}\n".encode())
    return digest.hexdigest()


def remove(path: Path) -> None:
    """Removes a file, or the pictures of a folder and the folder; what is missing is no error."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for name in pictures(path):
        (path / name).unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # it holds files that are not ours
        path.rmdir()


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which appears as `path` when the context ends.

    A folder that has the same pictures stays as it is; another is replaced. After an exception
    nothing appears. Raises DiskFull or OutputError if the system refuses.
    """
    with explain_errors(path):
        staging = files.temporary_path(path)
        staging.mkdir(parents=True)
        try:
            yield staging
            if not path.is_dir():
                staging.replace(path)
            elif sha256_of(path) != sha256_of(staging):
                old = files.temporary_path(path)
                path.replace(old)
                staging.replace(path)
                shutil.rmtree(old)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
