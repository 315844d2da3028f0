"""Errors of the file system, in words for the user."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from saco_data.model.errors import DiskFull, DiskTrouble, OutputError
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
# The device or the server of the folder has trouble; neither config nor permissions are wrong.
_TROUBLE = (errno.EIO, errno.ESTALE, getattr(errno, "EREMOTEIO", errno.EIO))
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
        if error.errno in _TROUBLE:
            raise DiskTrouble(
                f"the disk does not answer as it should ({os.strerror(error.errno or 0)})",
                item=str(path),
                remedy="Run again; if it comes back, check the disk or mount it again",
            ) from error
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


def _is_not_from_writing(error: OSError) -> bool:
    """Whether an error is about a file to be read, or about a connection."""
    return (
        isinstance(error, (FileNotFoundError, ConnectionError, TimeoutError))
        or error.errno in _NETWORK
        or type(error).__module__ != "builtins"  # from ssl, socket or another library
    )
