"""Kills a command, or lets one of its operations on files fail, at a chosen operation."""

from __future__ import annotations

import errno
import random
import shutil
import signal
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("disturb.c")
# As the enumeration in disturb.c.
FAMILIES = (
    "any",
    "create",
    "open",
    "read",
    "write",
    "sync",
    "rename",
    "link",
    "unlink",
    "mkdir",
    "truncate",
)
FULL = (errno.ENOSPC, errno.EDQUOT)
ERRORS = {
    "create": (*FULL, errno.EIO, errno.EACCES, errno.EMFILE, errno.ESTALE),
    "open": (errno.EIO, errno.EMFILE, errno.ESTALE, errno.ENOMEM),
    "read": (errno.EIO, errno.ESTALE),
    "write": (*FULL, errno.EIO, errno.EFBIG),
    "sync": (errno.EIO, errno.ENOSPC),
    "rename": (errno.EIO, errno.EACCES, errno.ENOSPC),
    "link": (errno.EPERM, errno.EMLINK, errno.ENOSPC, errno.EIO),
    "unlink": (errno.EIO, errno.EACCES),
    "mkdir": (errno.ENOSPC, errno.EACCES, errno.EIO),
    "truncate": (errno.EIO,),
}
LOG = "disturbed operations"  # the file, below the folder, that lists them
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


def compile_library(folder: Path) -> Path:
    """The shared library that disturbs; skips the test where there is no C compiler for Linux."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler: errors of the disk cannot be injected")
    library = folder / "disturb.so"
    options = ["-shared", "-fPIC", "-O1", "-o", str(library), str(SOURCE), "-ldl"]
    if subprocess.run([compiler, *options], check=False, capture_output=True).returncode:
        pytest.skip("disturb.c cannot be compiled here")
    return library


@dataclass(frozen=True)
class Disturbance:
    """What happens at operation `at` of a family."""

    family: str
    at: int
    what: str  # "error 28", "short", "signal 9"
    whom: str = "-1"
    is_sticky: bool = False

    def environment(self, folder: Path) -> dict[str, str]:
        """Variables for a command whose operations below `folder` count."""
        kind, _, number = self.what.partition(" ")
        return {
            **counting(folder),
            "DISTURB_FAMILY": str(FAMILIES.index(self.family)),
            "DISTURB_AT": str(self.at),
            "DISTURB_ERROR": number if kind == "error" else "0",
            "DISTURB_SHORT": str(int(kind == "short")),
            "DISTURB_SIGNAL": number if kind == "signal" else "0",
            "DISTURB_WHOM": self.whom,
            "DISTURB_STICKY": str(int(self.is_sticky)),
        }


def counting(folder: Path) -> dict[str, str]:
    """Variables for a command whose operations are only counted, from 0."""
    counters = folder / "counters"
    counters.write_bytes(bytes(8 * len(FAMILIES)))
    return {
        "DISTURB_ROOT": str(folder),
        "DISTURB_COUNTERS": str(counters),
        "DISTURB_LOG": str(folder / LOG),
        "DISTURB_AT": "-1",
    }


def counts(folder: Path) -> dict[str, int]:
    """How many operations of each family the last command did."""
    content = (folder / "counters").read_bytes()
    return dict(zip(FAMILIES, struct.unpack(f"{len(FAMILIES)}Q", content), strict=True))


def draw(dice: random.Random, usual: dict[str, int]) -> Disturbance:
    """A disturbance within `usual`, the counts of an undisturbed command."""
    if dice.random() < 0.4:
        number = dice.choices(SIGNALS, (6, 3, 1))[0]
        # The command itself, the process at work, or all of them, as a power failure would.
        whom = dice.choice(["main", "-1", "0"]) if number == signal.SIGKILL else "main"
        at = dice.randrange(usual["any"])
        return Disturbance("any", at, f"signal {int(number)}", whom)
    family = dice.choice([name for name in ERRORS if usual[name]])
    at = dice.randrange(usual[family])
    if family in ("read", "write") and dice.random() < 0.3:
        return Disturbance(family, at, "short", is_sticky=dice.random() < 0.3)
    error = dice.choice(ERRORS[family])
    return Disturbance(family, at, f"error {error}", is_sticky=dice.random() < 0.4)
