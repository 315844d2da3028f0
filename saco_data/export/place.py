"""Where an export is written: a folder or a bucket."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from saco_data.config.yaml_text import is_bucket
from saco_data.model.errors import UsageError
from saco_data.storage import files
from saco_data.storage.names import safe_join
from saco_data.storage.store import Store, open_store

# Present while an export is written, so that one that was stopped can be written again.
UNFINISHED = "export.unfinished"


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

    def finish(self) -> None:
        """Says that the export is whole."""
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

    def finish(self) -> None:
        """See `Place`."""
        (self.root / UNFINISHED).unlink(missing_ok=True)


class Bucket:
    """A bucket as a place. What is written piece by piece waits in a temporary file."""

    def __init__(self, store: Store) -> None:
        self.store = store

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        """See `Place`."""
        with tempfile.TemporaryDirectory(prefix="saco-export-") as folder:
            path = Path(folder) / "file"
            with path.open("w+b") as file:
                yield file
            self.store.put(name, path)

    def write(self, name: str, content: bytes) -> None:
        """See `Place`."""
        self.store.put(name, content)

    def put(self, name: str, path: Path) -> None:
        """See `Place`."""
        self.store.put(name, path)

    def finish(self) -> None:
        """See `Place`."""
        self.store.delete([UNFINISHED])


def open_place(to: str) -> Place:
    """The place that `--to` names. Raises UsageError where it holds something else already."""
    if is_bucket(to):
        store = open_store(to)
        if next(store.list(), None) is not None and store.stat(UNFINISHED) is None:
            raise UsageError(
                "is not empty", item=to, remedy="Name a new prefix, or remove what is there"
            )
        return Bucket(store)
    if "://" in to:
        raise UsageError(
            "is neither a folder nor a bucket",
            item=to,
            remedy="Name a folder, s3://bucket/prefix or gs://bucket/prefix",
        )
    root = Path(to).absolute()
    if root.exists() and not root.is_dir():
        raise UsageError("is no folder", item=str(root), remedy="Name a new folder")
    if root.is_dir() and any(root.iterdir()) and not (root / UNFINISHED).is_file():
        raise UsageError(
            "is not empty", item=str(root), remedy="Name a new folder, or remove what is there"
        )
    return Folder(root)
