"""Errors of the file system, in words for the user."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from saco_data.model.errors import DiskFull, DiskTrouble, Incomplete, OutputError, SacoError
from saco_data.storage.names import UnsafeName

_FULL = (errno.ENOSPC, errno.EDQUOT)
_REFUSED = (
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.ELOOP,
)
# What the loader of libraries says where memory or descriptors are used up.
_SHORT = re.compile("failed to map segment|cannot (create|allocate)|Too many open files")
_AWKWARD = frozenset(':*?"<>|')  # characters that file systems of Windows refuse
_NETWORK = (errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH)


@contextlib.contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Within the context, an OSError from writing `path` becomes DiskFull or OutputError.

    A name that is too long becomes UnsafeName. Errors that do not come from writing (a missing
    input file, a connection) pass unchanged.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                "no space left on the device",
                item=str(path),
                remedy="Free some space and run again",
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise UnsafeName(f"name too long: {path.name[:80]!r}...") from error
        if error.errno in DiskTrouble.ERRNOS:
            raise _describe_trouble(error, str(path)) from error
        if error.errno == errno.EINVAL and (refused := _AWKWARD & set(path.name)):
            raise OutputError(
                f"this file system refuses {' '.join(sorted(refused))} in names, as exFAT, NTFS "
                "and CIFS do",
                item=str(path),
                remedy="Choose a folder on another file system in the config; `saco doctor` tries "
                "each folder",
            ) from error
        if error.errno not in _REFUSED and (not error.errno or _is_not_from_writing(error)):
            raise
        raise OutputError(
            f"cannot write ({os.strerror(error.errno or 0)})",
            item=str(path),
            remedy="Make the folder writable or choose another in the config"
            if error.errno in _REFUSED
            else "Look at the disk, or choose another folder in the config",
        ) from error


def _describe_trouble(error: OSError, item: str) -> DiskTrouble:
    return DiskTrouble(
        f"the disk does not answer as it should ({os.strerror(error.errno or 0)})",
        item=item,
        remedy=DiskTrouble.REMEDY,
    )


def _is_not_from_writing(error: OSError) -> bool:
    """Whether an error is about a file to be read, or about a connection."""
    return (
        isinstance(error, (FileNotFoundError, ConnectionError, TimeoutError))
        or error.errno in _NETWORK
        or type(error).__module__ != "builtins"  # from ssl, socket or another library
    )


def describe_system_error(error: BaseException) -> SacoError | None:
    """The error for the user where the system refused something; None for any other."""
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and "start new thread" in str(error)
    ):
        return Incomplete(
            "the memory or the number of processes that this system allows is used up",
            remedy="Lower `jobs` in the config, or raise the limit (`ulimit -a`), and run again",
        )
    if isinstance(error, ImportError) and _SHORT.search(str(error)):
        return Incomplete(
            f"a library cannot be loaded ({error})",
            remedy="Raise the limit (`ulimit -n`, `ulimit -v`), and run again",
        )
    if not isinstance(error, OSError) or type(error).__module__ != "builtins":
        return None
    where = str(error.filename or "")
    if error.errno in _FULL:
        return DiskFull(
            "no space left", item=where or "output", remedy="Free some space and run again"
        )
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN):
        return Incomplete(
            f"the system refused more ({os.strerror(error.errno)})",
            item=where,
            remedy="Raise the limit (`ulimit -n`, `ulimit -v`) or lower `jobs`, and run again",
        )
    if error.errno in DiskTrouble.ERRNOS:
        return _describe_trouble(error, where)
    if error.errno == errno.ENOENT and not _has_working_directory():
        return OutputError(
            "the working directory was deleted", remedy="Change to a folder that exists (cd)"
        )
    if where and error.errno == errno.ENOENT and not _takes_new_names(Path(where).parent):
        return OutputError("its folder takes no new names", item=where, remedy="Name another path")
    if where and (error.errno in _REFUSED or error.errno == errno.ENAMETOOLONG):
        return OutputError(
            f"cannot be used ({os.strerror(error.errno)})",
            item=where,
            remedy="Make it accessible, or name another path in the config",
        )
    return None


def _takes_new_names(folder: Path) -> bool:
    """Whether a file can be made in a folder: not in /proc, or where an automounter makes names."""
    try:
        import tempfile  # late: every command imports this module

        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return not folder.is_dir()


def _has_working_directory() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True
