"""Writing files so that a final name always means a complete file, and names that cannot escape."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from saco_data.model.errors import DiskFull, OutputError

CHUNK = 1 << 20
_REFUSALS = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.ELOOP,
)
_NETWORK = (errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH)
_counter = itertools.count()
_TEMPORARY = re.compile(r"^\..*\.\d+-\d+\.saco-tmp$")


class UnsafeName(ValueError):
    """A name from outside that would leave its folder or cannot be a file name."""


def inside(root: Path, name: str) -> Path:
    """`root / name` for a name that came from outside.

    Raises UnsafeName for anything absolute, with `..`, empty parts, control characters, a
    backslash, a part over 255 bytes or more than 1024 in all.
    """
    parts = name.split("/")
    if not name or any(part in ("", ".", "..") for part in parts):
        raise UnsafeName(f"unsafe name {name[:80]!r}")
    if any(ord(char) < 32 or char == "\\" for char in name):
        raise UnsafeName(f"unsafe character in name {name[:80]!r}")
    try:
        encoded = os.fsencode(name)
    except UnicodeEncodeError:
        raise UnsafeName(f"name is not valid text: {name[:80]!r}") from None
    if len(encoded) > 1024 or max(map(len, encoded.split(b"/"))) > 255:
        raise UnsafeName(f"name too long: {name[:80]!r}...")
    return root.joinpath(*PurePosixPath(name).parts)


def is_temporary(name: str) -> bool:
    """Whether a file name is one of our temporary ones (left behind by a killed run)."""
    return _TEMPORARY.match(name) is not None


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns whatever keeps the system from writing `path` into DiskFull or OutputError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                "no space left on the device",
                item=str(path),
                remedy="Free some space and run again",
            ) from error
        if error.errno in _REFUSALS:
            raise OutputError(
                f"cannot write ({os.strerror(error.errno)})",
                item=str(path),
                remedy="Make the folder writable or choose another in the config",
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise UnsafeName(f"name too long: {path.name[:80]!r}...") from error
        if not error.errno or _is_another_s(error):
            raise
        raise OutputError(
            f"cannot write ({os.strerror(error.errno)})",
            item=str(path),
            remedy="Look at the disk, or choose another folder in the config",
        ) from error


def _is_another_s(error: OSError) -> bool:
    """Whether an error tells of a file that was to be read, or of a connection."""
    return (
        isinstance(error, (FileNotFoundError, ConnectionError, TimeoutError))
        or error.errno in _NETWORK
        or type(error).__module__ != "builtins"  # of ssl, socket or a library
    )


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """A binary file that appears under `path` complete and on disk, or not at all.

    Raises DiskFull or OutputError where the system refuses.
    """
    temporary = path.with_name(_temporary_name(path))
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            # The rename need not be durable: lost by a power cut, the file is made again.
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _temporary_name(path: Path) -> str:
    # Unique to the process and the call: two writers never share a temporary file.
    stem = os.fsencode(path.name)[:180].decode(errors="ignore")
    return f".{stem}.{os.getpid()}-{next(_counter)}.saco-tmp"


def put(path: Path, content: bytes) -> None:
    """What `atomic` does, for content that is whole, with few system calls and no Path objects.

    Raises DiskFull or OutputError where the system refuses.
    """
    temporary = f"{path.parent}/{_temporary_name(path)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with explained(path):
        try:
            try:
                file = os.open(temporary, flags, 0o666)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                file = os.open(temporary, flags, 0o666)
            try:
                view = memoryview(content)
                while view:
                    view = view[os.write(file, view) :]
                os.fsync(file)
            finally:
                os.close(file)
            os.replace(temporary, path)  # noqa: PTH105 - as above
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108 - as above
            raise


def write(path: Path, content: bytes) -> bool:
    """Writes `content` atomically; an identical file is left alone (same inode and mtime).

    Returns whether the file was written.
    """
    if same_content(path, content):
        return False
    put(path, content)
    return True


def link(source: Path, path: Path) -> None:
    """Makes `path` another name of `source`; a copy where the file system cannot link."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if path.samefile(source):
                return
        temporary = path.with_name(f".link.{os.getpid()}-{next(_counter)}.saco-tmp")
        try:
            os.link(source, temporary)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS):
                raise
            write(path, source.read_bytes())
            return
        temporary.replace(path)


def sync_folder(folder: Path) -> None:
    """Makes a rename in `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems cannot sync a folder.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def same_content(path: Path, content: bytes) -> bool:
    """Whether `path` is a regular file that holds exactly `content`."""
    try:
        return path.stat().st_size == len(content) and path.read_bytes() == content
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return False


def sha256_of(path: Path) -> str:
    """The sha256 of a file, as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(source: Path, path: Path) -> bool:
    """Copies a file atomically; an identical one is left alone. Returns whether it was written."""
    import filecmp

    if path.is_file() and filecmp.cmp(source, path, shallow=False):
        return False
    with source.open("rb") as content, atomic(path) as file:
        shutil.copyfileobj(content, file, CHUNK)
    return True


def stamp(path: Path) -> list[Any]:
    """Path, size and mtime: equal stamps mean an unchanged file."""
    try:
        status = path.stat()
    except OSError:
        return []
    return [str(path), status.st_size, status.st_mtime_ns]
