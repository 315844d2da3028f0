"""The free space of each file system, and how much of it a run needs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from saco_data.model.errors import DiskFull
from saco_data.model.words import human
from saco_data.planning.costs import Costs, Size
from saco_data.storage.folders import device_of, mount_of, nearest_existing


@dataclass
class FileSystem:
    """One file system: free and needed space. `files_free` is None where there is no limit."""

    folder: Path
    free: int
    files_free: int | None
    needed: Size = field(default_factory=Size)
    written: int = 0

    @property
    def problem(self) -> str:
        """Why the need certainly does not fit; "" if it may fit."""
        if self.needed.least > self.free:
            return f"at least {human(self.needed.least)} needed, {human(self.free)} free"
        if self.files_free is not None and self.written > self.files_free:
            return f"{self.written} new files needed, {self.files_free} possible (inodes)"
        return ""

    @property
    def doubt(self) -> str:
        """Why the need probably does not fit; "" if it probably fits."""
        if self.needed.likely > self.free:
            return f"about {human(self.needed.likely)} needed, {human(self.free)} free"
        return ""


class Room:
    """The free space when a run began, and the parts of it that subsets have reserved."""

    def __init__(self) -> None:
        self.systems: dict[int, FileSystem] = {}

    def add(self, costs: Costs) -> list[FileSystem]:
        """Adds the costs of a subset; returns the file systems that they use."""
        touched: dict[int, FileSystem] = {}
        for folder, size in costs.disk.items():
            number = device_of(folder)
            if number not in self.systems:
                self.systems[number] = _measure(folder)
            system = touched[number] = self.systems[number]
            system.needed += size
        for system in list(touched.values())[:1]:  # products come first
            system.written += costs.written
        return list(touched.values())

    def reserve(self, costs: Costs) -> list[str]:
        """As `add`, but returns warnings. Raises DiskFull if the costs certainly do not fit."""
        before = {number: (each.needed, each.written) for number, each in self.systems.items()}
        touched = self.add(costs)
        problems = [(each.folder, each.problem) for each in touched if each.problem]
        if problems:
            # A refused subset takes no space from the others.
            for number, each in self.systems.items():
                each.needed, each.written = before.get(number, (Size(), 0))
            folder, problem = problems[0]
            raise DiskFull(
                f"it does not fit: {problem}",
                item=f"file system {folder}",
                remedy="Nothing was fetched. Free some space, or choose another folder for it",
            )
        return [f"{each.folder}: {each.doubt}" for each in touched if each.doubt]


def _measure(folder: Path) -> FileSystem:
    there = nearest_existing(folder)
    status = os.statvfs(there)
    files_free = status.f_favail if status.f_files else None
    return FileSystem(mount_of(there), status.f_bavail * status.f_frsize, files_free)
