"""A place for prepared files, in a folder or a bucket: the protocol that both keep.

A name in a store is a relative path with "/" between its parts. A name that is there is whole:
`put` lets it appear at once or not at all. Verify content before you put it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from saco_data.config.yaml_text import is_bucket


@dataclass(frozen=True, slots=True)
class Stamp:
    """The size in bytes and the version of an object: equal stamps mean unchanged content.

    `tag`: the ETag of a bucket; inode and mtime of a file.
    """

    size: int
    tag: str


class Exists(Exception):
    """There is an object of this name already."""


class Changed(Exception):
    """The object is not the one that was to be replaced: another writer was quicker."""


class Store(Protocol):
    """Where prepared files are.

    Every method raises UnsafeName for a name that would leave the store, DiskFull where there is no
    room, OutputError where access is refused, and Incomplete for trouble that may pass.
    """

    place: str

    def put(self, name: str, content: bytes | Path, *, only_new: bool = False) -> Stamp:
        """Stores content, whole or not at all. Raises Exists where `only_new` meets an object."""
        ...

    def replace(self, name: str, content: bytes, stamp: Stamp) -> Stamp:
        """Stores content over the object with this stamp. Raises Changed where it has another."""
        ...

    def read(self, name: str) -> bytes:
        """The content of an object. Raises FileNotFoundError."""
        ...

    def open(self, name: str) -> BinaryIO:
        """An object as a file that can seek; only what is read is fetched.

        Raises FileNotFoundError.
        """
        ...

    def stat(self, name: str) -> Stamp | None:
        """The stamp of an object; None where there is none."""
        ...

    def list(self, prefix: str = "") -> Iterator[tuple[str, Stamp]]:
        """Each object whose name begins with `prefix` (a folder, with its "/"), with its stamp."""
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Deletes objects; those that are not there are passed over."""
        ...


def open_store(place: str | Path) -> Store:
    """The store at the address of a bucket (`s3://`, `gs://`) or in a folder.

    Raises UsageError where the extra `bucket` is not installed, or where the address is wrong.
    """
    if isinstance(place, str) and is_bucket(place):
        from saco_data.storage.bucket import BucketStore

        return BucketStore(place)
    from saco_data.storage.local_store import LocalStore

    return LocalStore(Path(place))
