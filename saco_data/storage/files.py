"""Writing files: a file under its final name is complete and on disk.

The one rule for every file: write it under a temporary name on the same file system, check it, sync
it, rename it. Content that is checked before it is written goes through `open_atomic` and the
functions built on it; a download that is checked as a file of its own goes through `publish`.
"""

from __future__ import annotations

import contextlib
import errno
import filecmp
import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from saco_data.config.regular import require_regular
from saco_data.storage import fetched
from saco_data.storage.disk_errors import explain_errors

CHUNK = 1 << 20  # bytes to read at a time
_TEMPORARY = ".saco-tmp"  # the end of the name of every temporary file
# Errors of a link that another way to give a file its name would meet too.
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)
_counter = itertools.count()
Finish = Callable[[Callable[[], None]], None]  # see `open_atomic`


@contextlib.contextmanager
def open_atomic(
    path: Path, *, is_raw: bool = False, finish: Finish | None = None
) -> Iterator[BinaryIO]:
    """A binary file that appears as `path`, complete and on disk, when the context ends.

    `is_raw`: it is a raw file that we fetch (see `storage.fetched`). `finish`: takes the function
    that syncs the file and gives it its name, to call it in another thread (`storage.background`).

    After an exception nothing appears and an existing file stays. Folders are created as needed.
    Raises DiskFull or OutputError if the system refuses.
    """
    with explain_errors(path):
        temporary = temporary_path(path)
        file = _create(temporary)
        try:
            yield file
            file.flush()
        except BaseException:
            _discard(file, temporary)
            raise

    def complete() -> None:
        with explain_errors(path):
            try:
                with file:
                    os.fsync(file.fileno())
                if is_raw:
                    fetched.record(temporary, path)
                # Not the folder: if a power failure undoes the rename, the next run writes it
                # again.
                temporary.replace(path)
            except BaseException:
                _discard(file, temporary)
                raise

    if finish is None:
        complete()
    else:
        finish(complete)


def write_atomic(
    path: Path, content: bytes, *, is_raw: bool = False, finish: Finish | None = None
) -> None:
    """Writes `content` by `open_atomic`."""
    with open_atomic(path, is_raw=is_raw, finish=finish) as file:
        file.write(content)


def write_if_changed(path: Path, content: bytes, finish: Finish | None = None) -> bool:
    """Writes `content` by `open_atomic` unless the file has it; returns whether it was written.

    A file with the same content keeps its inode and modification time.
    """
    if has_content(path, content):
        return False
    write_atomic(path, content, finish=finish)
    return True


def copy_if_changed(source: Path, path: Path) -> bool:
    """Copies a file by `open_atomic` unless both are equal; returns whether it was copied."""
    if path.is_file() and filecmp.cmp(source, path, shallow=False):
        return False
    with source.open("rb") as content, open_atomic(path) as file:
        shutil.copyfileobj(content, file, CHUNK)
    return True


def link_or_copy(source: Path, path: Path) -> None:
    """Makes `path` a hard link to `source`, or a copy where the file system cannot link."""
    _link(source, path, (os.link,))


def link_anywhere(source: Path, path: Path) -> None:
    """Makes `path` another name of `source`: a hard link, else a symbolic link, else a copy.

    Hard links cannot lead to another file system, and some file systems have none.
    """
    _link(source, path, (os.link, os.symlink))


def _link(source: Path, path: Path, ways: Sequence[Callable[[Path, Path], None]]) -> None:
    """Makes `path` another name of `source` in the first way that works, else a copy."""
    with explain_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if path.samefile(source):
                return
        temporary = temporary_path(path)
        try:
            for link in ways:
                try:
                    link(source.absolute(), temporary)
                except OSError as error:
                    if error.errno in _REFUSALS:
                        raise
                    continue
                temporary.replace(path)
                return
        finally:
            # Also after a rename that did nothing, as between two links to one file.
            temporary.unlink(missing_ok=True)
        copy_if_changed(source, path)


def move_new(path: Path, to: Path) -> bool:
    """Gives a file another name on the same file system; False where a file has that name already.

    Raises DiskFull or OutputError if the system refuses.
    """
    with explain_errors(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Unlike a rename, it never replaces what another machine has just put there.
            os.link(path, to)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in _REFUSALS:
                raise
            if to.exists():
                return False
            path.replace(to)
            return True
        path.unlink()
        return True


def publish(part: Path, path: Path) -> None:
    """Renames a complete and checked file that we fetched to its final name.

    `part` lies on the same file system; its content is on disk before it gets the name. Raises
    DiskFull or OutputError if the system refuses.
    """
    with explain_errors(path):
        _sync(part)
        fetched.record(part, path)
        # Not the folder: see `open_atomic`.
        part.replace(path)


def is_temporary(name: str) -> bool:
    """Whether a file name is a temporary one of ours, left by a killed run."""
    return name.startswith(".") and name.endswith(_TEMPORARY)


def has_content(path: Path, content: bytes) -> bool:
    """Whether `path` is a regular file with exactly this content."""
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return False


def sha256_of(path: Path) -> str:
    """The sha256 of a file in hex digits."""
    require_regular(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stamp(path: Path) -> list[Any]:
    """Path, size in bytes and mtime in ns: equal stamps mean an unchanged file; [] if missing."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [str(path), status.st_size, status.st_mtime_ns]


def temporary_path(path: Path) -> Path:
    """A name beside `path` for a file or folder that is not complete yet."""
    # Process number and counter: two writers never share a temporary file.
    stem = os.fsencode(path.name)[:180].decode(errors="ignore")
    return path.with_name(f".{stem}.{os.getpid()}-{next(_counter)}{_TEMPORARY}")


def _create(path: Path) -> BinaryIO:
    try:
        return path.open("xb")
    except FileNotFoundError:
        pass
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("xb")
    except FileNotFoundError as error:  # as in /proc, which takes no files
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from error


def _discard(file: BinaryIO, path: Path) -> None:
    # What is left in the buffer of a full disk cannot be written either.
    with contextlib.suppress(OSError):
        file.close()
    path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
