"""The members of an extracted folder, as if it were an archive."""

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
    for name, path, link in _walk(top):
        if not wanted(name):
            continue
        member = _member(top, name, path, link)
        yield member
        member.close()


def _walk(top: Path) -> Iterator[tuple[str, Path, bool]]:
    """Each file's name, path and whether it was reached through a link."""
    # A list: folders may be nested deeper than recursion allows.
    pending = _list(top, "", linked=False)
    while pending:
        entry, name, linked = pending.pop()
        path = Path(entry.path)
        if not _is_folder(entry):
            yield name, path, linked or entry.is_symlink()
        elif not entry.is_symlink():
            pending += _list(path, f"{name}/", linked=linked)
        elif not linked and not path.parent.is_relative_to(path.resolve()):
            # Only one link deep, and never to a folder above: the walk always ends.
            pending += _list(path, f"{name}/", linked=True)


def _list(folder: Path, prefix: str, *, linked: bool) -> list[tuple[os.DirEntry[str], str, bool]]:
    """Entry, name and `linked` of each entry of a folder, in reverse order."""
    try:
        with os.scandir(folder) as entries:
            listing = sorted(entries, key=lambda entry: entry.name, reverse=True)
    except OSError as error:
        raise ArchiveDamaged(
            f"cannot be listed ({error.strerror})", item=str(folder), remedy="Make it readable"
        ) from error
    return [(entry, prefix + entry.name, linked) for entry in listing]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to itself, or into a folder that we may not read


def _member(top: Path, name: str, path: Path, link: bool) -> Member:
    try:
        status = path.stat()
    except OSError as error:
        return Member(name, 0, f"cannot be read ({error.strerror})")
    if link and not path.resolve().is_relative_to(top):
        return Member(name, 0, OUTSIDE)
    if not stat.S_ISREG(status.st_mode):
        return Member(name, 0, "not a regular file")
    size = status.st_size
    return Member(name, size, refusal_of(name, size), _pieces=lambda: _pieces(path, size))


def _pieces(path: Path, size: int) -> Iterator[bytes]:
    left = size
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(PIECE):
                left -= len(piece)
                yield piece
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
        raise ArchiveDamaged(what, item=str(path), alone=True) from error
    if left:
        raise ArchiveDamaged("changed while it was read", item=str(path), alone=True)
