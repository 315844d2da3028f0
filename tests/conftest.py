"""What tests share: real inputs where they are at hand, and the saco command in a process."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# Two noisy cores: how long an example takes says nothing.
settings.register_profile("saco", deadline=None)
settings.load_profile("saco")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real inputs; tests that need it skip, loudly, where it is absent."""
    folder = Path(os.environ.get("SACO_SHARED_DATA") or ROOT.parent / "shared" / "data")
    if not folder.is_dir():
        message = f"no real inputs in {folder}: set SACO_SHARED_DATA to run these tests"
        warnings.warn(message, stacklevel=1)
        pytest.skip(message)
    return folder


Saco = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def saco() -> Saco:
    """Runs the installed command as a user does: `saco("status", "--json", cwd=folder)`."""

    def run(
        *arguments: str | Path, cwd: Path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [Path(sys.executable).with_name("saco"), *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run
