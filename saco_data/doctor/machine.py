"""This machine: write access, what its file systems allow in names, disk, open files."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from saco_data.config.settings import Settings
from saco_data.engine.subset import Subset
from saco_data.model import words
from saco_data.model.finding import Finding, fail, ok, warn
from saco_data.storage import folders

OPEN_FILES = 512


def examine(settings: Settings, subsets: Sequence[Subset]) -> Iterator[Finding]:
    """Findings for each folder that a run writes to, then for what they share."""
    wanted: dict[Path, list[str]] = {}
    for path in (settings.silver, *(subset.config.folder for subset in subsets)):
        there = folders.nearest_existing(path)
        wanted.setdefault(there, []).append(path.name)
    awkward = [subset for subset in subsets if subset.source.awkward_name]
    for there in wanted:
        yield from _check_folder(there, awkward)
    yield from _check_disk(settings, subsets)
    yield _check_open_files()


def _check_folder(folder: Path, awkward: Sequence[Subset]) -> Iterator[Finding]:
    name = f"folder {folder}"
    try:
        with tempfile.TemporaryDirectory(prefix=".saco-doctor-", dir=folder) as made:
            probe = Path(made)
            (probe / "probe").write_bytes(b"x")
            exact = not (probe / "PROBE").exists()
            refused = [each for each in awkward if not _takes(probe / each.source.awkward_name)]
    except OSError as error:
        remedy = "Make it writable, or choose another folder in the config"
        yield fail(name, f"cannot be written ({error.strerror})", remedy)
        return
    yield ok(name, "can be written")
    if not exact:
        remedy = "Use another file system: names that differ in case would overwrite each other"
        yield fail(name, "does not tell upper case from lower case", remedy)
    for subset in refused:
        remedy = f"Put {subset.id}_path and silver_path on another file system"
        yield fail(name, f"refuses ':' in names, which {subset.manifest.title}'s have", remedy)


def _takes(path: Path) -> bool:
    try:
        path.write_bytes(b"x")
        # Some file systems take the name, and store it under another one.
        return path.name in (each.name for each in path.parent.iterdir())
    except OSError:
        return False


def _check_disk(settings: Settings, subsets: Sequence[Subset]) -> Iterator[Finding]:
    """The same costs as `saco plan`, on the file systems that would bear them."""
    from saco_data.engine import forecast

    table = forecast.make(settings, [subset.id for subset in subsets])
    some = any(each.costs.at_most for each in table.lines)
    remedy = "Free some space, choose another folder, or set remove_downloaded_videos_*: true"
    for system in table.systems:
        name, free = f"disk {system.folder}", f"{words.human(system.free)} free"
        if system.problem:
            yield fail(name, f"does not suffice: {system.problem}", remedy)
        elif system.doubt and some:
            yield warn(name, f"may not suffice: up to {system.doubt.partition(' ')[2]}", remedy)
        elif system.doubt:
            yield warn(name, f"will probably not suffice: {system.doubt}", remedy)
        else:
            yield ok(name, f"{free}, about {words.human(system.needed.likely)} needed")


def _check_open_files() -> Finding:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limit < OPEN_FILES:
        return warn("open files", f"only {limit} allowed", f"Run `ulimit -n {OPEN_FILES * 2}`")
    return ok("open files", f"{limit} allowed")
