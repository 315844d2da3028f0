"""A copy that the user of a command may read and not write, for the superuser too."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

# Linux: prctl's PR_CAPBSET_DROP, and the capabilities that let the superuser ignore permissions.
_DROP = 24
_IGNORE_PERMISSIONS = (1, 2, 3)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Takes the permission to write from a folder and all below it while the context lasts."""
    paths = [folder, *folder.rglob("*")]
    modes = {path: stat.S_IMODE(path.lstat().st_mode) for path in paths if not path.is_symlink()}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        yield
    finally:
        for path, mode in modes.items():
            if path.exists():
                path.chmod(mode)


def _obey_permissions() -> None:
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in _IGNORE_PERMISSIONS:
            if libc.prctl(_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


def run_as_reader(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Runs `saco` as somebody whom permissions stop."""
    return subprocess.run(
        [Path(sys.executable).with_name("saco"), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        preexec_fn=_obey_permissions,
    )
