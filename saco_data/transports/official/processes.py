"""Running the official clients: found beside this Python, given lists and never a shell."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from saco_data.model.errors import UsageError


def find(name: str) -> str:
    """The path of an official client. Raises UsageError where it is not installed."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if found is None:
        raise UsageError(
            "is not installed",
            item=name,
            remedy="Run `pip install 'saco-data[official]'`, or remove `transport` from the config",
        )
    return found


@contextlib.contextmanager
def running(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stdout: int | IO[Any],
    stderr: int | IO[Any],
) -> Iterator[subprocess.Popen[bytes]]:
    """A client at work; it and its children end with the block, whatever happens.

    `environment` is added to ours: keys go this way, where no process list shows them.
    """
    process = subprocess.Popen(
        list(arguments),
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        bufsize=0,  # what `select` sees must be what is read
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # A leader that has not been waited for keeps its group alive as a name to signal.
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
