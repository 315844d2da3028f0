"""Runs the official clients: found beside this Python, started without a shell."""

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

from saco_data.config.installation import how_to_install
from saco_data.model.errors import UsageError


def find(name: str) -> str:
    """The path of an official client. Raises UsageError where it is not installed."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if found is None:
        raise UsageError(
            "is not installed",
            item=name,
            remedy=f"Run `{how_to_install('official')}`, or remove `transport` from the config",
        )
    return found


@contextlib.contextmanager
def running(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    stdout: int | IO[Any],
    stderr: int | IO[Any],
) -> Iterator[subprocess.Popen[bytes]]:
    """A running client; it and its children end with the `with` block, whatever happens.

    `environment` is added to ours: keys are passed there, where a process list does not show them.
    """
    process = subprocess.Popen(
        list(arguments),
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        bufsize=0,  # `select` must see all that is not read yet
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # Until it is waited for, the leader's process group can be signalled.
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
