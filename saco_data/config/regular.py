"""Refuses pipes, sockets and devices where a file is expected.

In the lowest layer that opens files, so that all others can use it.
"""

from __future__ import annotations

import errno
import stat
from pathlib import Path


def require_regular(path: Path) -> None:
    """Raises OSError for a pipe, a socket or a device: reading one may never end."""
    mode = path.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "a pipe, socket or device, not a file", str(path))
