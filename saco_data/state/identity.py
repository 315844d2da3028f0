"""Which process on which machine holds a lock, and whether it still runs."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path


def describe_this_process() -> dict[str, str | int]:
    """What a lock file says about its holder.

    `machine` and `boot` are "" where the system does not tell. `processes` names the namespace of
    process numbers: containers on one machine do not see each other's processes.
    """
    return {
        "host": socket.gethostname(),
        "machine": machine_id(),
        "pid": os.getpid(),
        "started": start_time_of(os.getpid()),
        "boot": _boot_id(),
        "processes": _process_namespace(),
    }


def machine_id() -> str:
    """A number that no other machine has, even one with the same host name; "" if unknown."""
    try:
        text = Path("/etc/machine-id").read_text().strip()
    except (OSError, ValueError):
        return ""
    # An image that was never booted contains "uninitialized".
    return text if re.fullmatch("[0-9a-f]{32}", text) else ""


def start_time_of(pid: int) -> str:
    """The start time of a process in clock ticks since boot; "" if it does not run.

    Without /proc, "running" for any process that exists.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self").exists():
            return ""
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return ""
        except PermissionError:
            pass
        return "running"
    state, *fields = text.rpartition(")")[2].split()
    # "Z": it has ended, but its parent has not asked for its exit code yet.
    return "" if state == "Z" else fields[18]


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _process_namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - not a path
    except OSError:
        return ""
