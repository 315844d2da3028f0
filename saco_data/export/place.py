"""Where an export is written: a folder. A bucket needs the same three methods."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

from saco_data.model.errors import UsageError
from saco_data.storage import files
from saco_data.storage.names import safe_join


class Place(Protocol):
    """Takes the files of an export by name, with "/" between folders. Raises UnsafeName."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """A file that appears under its name, whole, when the context ends."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file."""
        ...

    def put(self, name: str, path: Path) -> None:
        """Puts a file of this machine there."""
        ...


class Folder:
    """A folder as a place. Pictures are hard links, or copies on another file system."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """See `Place`."""
        return files.open_atomic(safe_join(self.root, name))

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        files.write_if_changed(safe_join(self.root, name), content)

    def put(self, name: str, path: Path) -> None:
        """See `Place`."""
        files.link_or_copy(path, safe_join(self.root, name))


def open_place(to: str) -> Place:
    """The place that `--to` names. Raises UsageError where it holds something else already."""
    if "://" in to:
        raise UsageError(
            "is not a folder", item=to, remedy="Export to a folder, then copy it to the bucket"
        )
    root = Path(to).absolute()
    if root.exists() and not root.is_dir():
        raise UsageError("is no folder", item=str(root), remedy="Name a new folder")
    if root.is_dir() and any(root.iterdir()) and not (root / UNFINISHED).is_file():
        raise UsageError(
            "is not empty", item=str(root), remedy="Name a new folder, or remove what is there"
        )
    return Folder(root)


# Present while an export is written, so that one that was stopped can be written again.
UNFINISHED = "export.unfinished"
