"""A store in a folder of this machine, or of a disk that several machines share."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from saco_data.storage import files
from saco_data.storage.disk_errors import explain_errors
from saco_data.storage.names import safe_join
from saco_data.storage.store import Changed, Exists, Stamp


class LocalStore:
    """See `Store`. Files appear by rename; a file that is only new, by a hard link."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.place = str(self.folder)

    def put(self, name: str, content: bytes | Path, *, only_new: bool = False) -> Stamp:
        """See `Store.put`."""
        path = safe_join(self.folder, name)
        if not only_new:
            with files.open_atomic(path) as file:
                _write(file, content)
            return _stamp_of(path.stat())
        with explain_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        fresh = files.temporary_path(path)
        try:
            with files.open_atomic(fresh) as file:
                _write(file, content)
            with explain_errors(path):
                try:
                    os.link(fresh, path)
                except FileExistsError:
                    raise Exists(name) from None
        finally:
            fresh.unlink(missing_ok=True)
        return _stamp_of(path.stat())

    def replace(self, name: str, content: bytes, stamp: Stamp) -> Stamp:
        """See `Store.replace`. Writers of one name wait for each other by a lock on its folder."""
        path = safe_join(self.folder, name)
        with _locked(path.parent):
            if self.stat(name) != stamp:
                raise Changed(name)
            files.write_atomic(path, content)
            return _stamp_of(path.stat())

    def read(self, name: str) -> bytes:
        """See `Store.read`."""
        return safe_join(self.folder, name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        """See `Store.open`."""
        return safe_join(self.folder, name).open("rb")

    def stat(self, name: str) -> Stamp | None:
        """See `Store.stat`."""
        try:
            status = safe_join(self.folder, name).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return _stamp_of(status) if S_ISREG(status.st_mode) else None

    def list(self, prefix: str = "") -> Iterator[tuple[str, Stamp]]:
        """See `Store.list`."""
        root = safe_join(self.folder, prefix.rstrip("/")) if prefix else self.folder
        for folder, subfolders, names in os.walk(root):
            subfolders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if not files.is_temporary(name):
                    with contextlib.suppress(FileNotFoundError):
                        yield path.relative_to(self.folder).as_posix(), _stamp_of(path.stat())

    def delete(self, names: Iterable[str]) -> None:
        """See `Store.delete`."""
        for name in names:
            path = safe_join(self.folder, name)
            with explain_errors(path):
                path.unlink(missing_ok=True)


def _stamp_of(status: os.stat_result) -> Stamp:
    tag = hashlib.md5(f"{status.st_ino} {status.st_mtime_ns}".encode()).hexdigest()
    return Stamp(status.st_size, tag)


def _write(file: BinaryIO, content: bytes | Path) -> None:
    if isinstance(content, bytes):
        file.write(content)
        return
    with content.open("rb") as source:
        while block := source.read(files.CHUNK):
            file.write(block)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
