"""Checks of this machine: write access, names that file systems accept, disk, open files."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from saco_data.config.settings import Settings
from saco_data.engine.subset import Subset
from saco_data.model import words
from saco_data.model.errors import SacoError
from saco_data.model.finding import Finding, fail, ok, warn
from saco_data.storage import folders
from saco_data.storage.probe import require_conditions
from saco_data.storage.store import open_store

OPEN_FILES = 512


def examine(settings: Settings, subsets: Sequence[Subset]) -> Iterator[Finding]:
    """Findings about each folder that a run writes to, then about disk and open files."""
    paths = (settings.silver, *(subset.config.folder for subset in subsets))
    existing = dict.fromkeys(folders.nearest_existing(path) for path in paths)
    awkward = [subset for subset in subsets if subset.source.awkward_name]
    for folder in existing:
        yield from _check_folder(folder, awkward)
    if settings.bucket:
        yield _check_bucket(settings.bucket)
    yield from _check_disk(settings, subsets)
    yield _check_open_files()


def _check_bucket(place: str) -> Finding:
    """Creates, creates again and replaces an object in the bucket, then deletes it."""
    name = f"bucket {place}"
    try:
        require_conditions(open_store(place))
    except SacoError as error:
        return fail(name, error.what, error.remedy)
    return ok(name, "can be written, and refuses to overwrite what another run wrote")


def _check_folder(folder: Path, awkward: Sequence[Subset]) -> Iterator[Finding]:
    name = f"folder {folder}"
    try:
        with tempfile.TemporaryDirectory(prefix=folders.PROBE, dir=folder) as temporary:
            probe = Path(temporary)
            (probe / "probe").write_bytes(b"x")
            is_case_sensitive = not (probe / "PROBE").exists()
            refused = [
                subset for subset in awkward if not _accepts(probe / subset.source.awkward_name)
            ]
    except OSError as error:
        remedy = "Make it writable, or choose another folder in the config"
        yield fail(name, f"cannot be written ({error.strerror})", remedy)
        return
    yield ok(name, "can be written")
    if not is_case_sensitive:
        remedy = "Use another file system: names that differ in case would overwrite each other"
        yield fail(name, "does not tell upper case from lower case", remedy)
    for subset in refused:
        remedy = (
            f"Put {subset.id}_path and silver_path on another file system: exFAT, NTFS and CIFS "
            "refuse it"
        )
        yield fail(name, f"refuses ':' in names, which {subset.manifest.title}'s have", remedy)


def _accepts(path: Path) -> bool:
    """Whether the file system stores a file under exactly this name."""
    try:
        path.write_bytes(b"x")
        # Some file systems accept a name and store another one.
        return path.name in (entry.name for entry in path.parent.iterdir())
    except OSError:
        return False


def _check_disk(settings: Settings, subsets: Sequence[Subset]) -> Iterator[Finding]:
    """Compares the costs of `saco plan` with the free space of each file system."""
    from saco_data.engine import forecast

    table = forecast.make(settings, [subset.id for subset in subsets])
    is_upper_bound = any(line.costs.at_most for line in table.lines)
    remedy = "Free some space, choose another folder, or set remove_downloaded_videos_*: true"
    for system in table.systems:
        name, free = f"disk {system.folder}", f"{words.human(system.free)} free"
        if system.problem:
            yield fail(name, f"too small: {system.problem}", remedy)
        elif system.doubt and is_upper_bound:
            yield warn(name, f"may be too small: up to {system.doubt.partition(' ')[2]}", remedy)
        elif system.doubt:
            yield warn(name, f"probably too small: {system.doubt}", remedy)
        else:
            yield ok(name, f"{free}, about {words.human(system.needed.likely)} needed")


def _check_open_files() -> Finding:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limit < OPEN_FILES:
        return warn("open files", f"only {limit} allowed", f"Run `ulimit -n {OPEN_FILES * 2}`")
    return ok("open files", f"{limit} allowed")
