"""An extracted folder, walked in sorted order as if it were an archive."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from saco_data.transports.archive.safety import PIECE, ArchiveDamaged, Member, refusal_of

OUTSIDE = "a link that leads outside the folder"


def folder_members(root: Path, wanted: Callable[[str], bool]) -> Iterator[Member]:
    """Wanted files below `root`, by sorted path. Links within the folder are followed."""
    top = root.resolve()
    for name, path, link in _walk(top, top, "", ()):
        if not wanted(name):
            continue
        member = _member(top, name, path, link)
        yield member
        member.close()


def _walk(
    top: Path, folder: Path, prefix: str, above: tuple[Path, ...]
) -> Iterator[tuple[str, Path, bool]]:
    """Each file's name, path and whether it was reached through a link."""
    try:
        with os.scandir(folder) as entries:
            listing = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise ArchiveDamaged(
            f"cannot be listed ({error.strerror})", item=str(folder), remedy="Make it readable"
        ) from error
    for entry in listing:
        name = prefix + entry.name
        path = folder / entry.name
        if not entry.is_dir():
            yield name, path, bool(above) or entry.is_symlink()
        elif not entry.is_symlink():
            below = (*above, path) if above else ()
            yield from _walk(top, path, f"{name}/", below)
        elif not above and not folder.is_relative_to(path.resolve()):
            # One link deep, and never to a folder above: links cannot make the walk endless.
            yield from _walk(top, path, f"{name}/", (path,))


def _member(top: Path, name: str, path: Path, link: bool) -> Member:
    if link and not path.resolve().is_relative_to(top):
        return Member(name, 0, OUTSIDE)
    try:
        status = path.stat()
    except OSError as error:
        return Member(name, 0, f"cannot be read ({error.strerror})")
    if not stat.S_ISREG(status.st_mode):
        return Member(name, 0, "not a regular file")
    size = status.st_size
    return Member(name, size, refusal_of(name, size), lambda: _pieces(path, size))


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    left = size
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(PIECE):
                left -= len(piece)
                yield piece
    except OSError as error:
        raise ArchiveDamaged(f"cannot be read ({error.strerror})", item=str(path)) from error
    if left:
        raise ArchiveDamaged("changed while it was read", item=str(path))
