"""A published copy as local files: each is fetched when it is first needed, and compared.

Files are kept in a cache folder, so that a second epoch reads them from the disk. A picture is
there only after its sha256 was that of the inventory.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from saco_data.model.errors import Incomplete
from saco_data.storage import files, folders, inventory
from saco_data.storage.inventory import Entry
from saco_data.storage.names import safe_join
from saco_data.storage.store import Store, open_store


@dataclass(frozen=True)
class Remote:
    """The pictures of one subset in a store. It is a plain record: each process opens the store."""

    place: str
    subset: str
    folder: Path

    def fetch(self, name: str) -> Path:
        """The path of a picture in the cache, fetched if it is not there.

        Raises UnsafeName, and Incomplete where the store does not hold it as it was published.
        """
        path = safe_join(self.folder, name)
        if path.is_file():
            return path
        found = _inventory(self.place, self.subset)
        entry = found.entries.get(name)
        if entry is None or entry.sha256 is None:
            raise Incomplete(
                "is not published",
                item=f"{self.place}: {name}",
                remedy="Run `saco prepare` and `saco push` where the copy is made",
            )
        fetch_file(_store(self.place), found.key(name), entry, path)
        return path


def open_remote(place: str, subset: str) -> Remote:
    """The pictures of a subset that is published in a bucket."""
    return Remote(place, subset, cache_folder(place) / "pictures" / subset)


def fetch_annotations(place: str, subset: str) -> tuple[Path, Path | None]:
    """The annotation file for evaluation in the cache, and that of the whole subset.

    The second one is given where the first holds less, because pictures are missing. Raises
    FileNotFoundError where none is published.
    """
    found = _inventory(place, subset)
    paths: dict[str, Path] = {}
    for each in found.header.files:
        path = safe_join(cache_folder(place), each.name)
        if each.sha256 and not (path.is_file() and files.sha256_of(path) == each.sha256):
            fetch_file(_store(place), each.name, each, path)
        if not each.name.endswith(".pruned.json"):
            paths[each.name.partition("/")[0]] = path
    if "annotations" not in paths:
        raise FileNotFoundError(f"{place}: no annotations of {subset}")
    if "annotations_partial" in paths:
        return paths["annotations_partial"], paths["annotations"]
    return paths["annotations"], None


def fetch_file(store: Store, key: str, entry: Entry, path: Path) -> None:
    """Fetches an object to `path`. Raises Incomplete where it is not what was published."""
    try:
        content = store.read(key)
    except FileNotFoundError:
        content = b""
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise Incomplete(
            "is not the object that was published",
            item=f"{store.place}/{key}",
            remedy="Run `saco push` again where the copy is made",
        )
    files.write_atomic(path, content)


def cache_folder(place: str) -> Path:
    """The folder that keeps what was read from a store: in `$XDG_CACHE_HOME/saco-data`."""
    return folders.cache_folder("published", hashlib.sha256(place.encode()).hexdigest()[:16])


@lru_cache(maxsize=4)
def _store(place: str) -> Store:
    return open_store(place)


@lru_cache(maxsize=32)
def _inventory(place: str, subset: str) -> inventory.Inventory:
    found = inventory.read(_store(place), subset)
    if found is None:
        raise FileNotFoundError(f"{place}: nothing of {subset}")
    return found[0]
