"""The listing of an archive as the index of a subset: products are members, as they are.

The listing is a JSON file of ours: `{"version": 1, "archives": {<archive>: [<file name>, ...]}}`,
written once the whole archive was read. `"edited": {<archive>: {<video>: <frames>}}` stands in it
where the config chooses videos by how many of their frames were edited.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from saco_data.catalog.manifest import Manifest
from saco_data.dataset.index import Index
from saco_data.dataset.pruned import Pruned, keep_list_sha256
from saco_data.model.errors import AnnotationError
from saco_data.model.records import Product
from saco_data.storage import files, untrusted_json

VERSION = 1
_AGAIN = "Remove it, and run `saco prepare`: it reads the archive again"


@dataclass
class Found:
    """What one archive holds: names of files, of which `last` was seen last.

    `edited`: how many masks of each video were edited by hand; None where that was not asked for.
    """

    names: set[str] = field(default_factory=set)
    edited: dict[str, int] | None = None
    last: str = ""

    def see(self, name: str) -> None:
        """Adds the name of a file."""
        self.names.add(name)
        self.last = name


def add(path: Path, archive: str, found: Found) -> None:
    """Adds an archive to a listing, or replaces it there; see `write`."""
    write(path, {**read_archives(path), archive: found})


def write(path: Path, archives: Mapping[str, Found]) -> None:
    """Writes a listing; names are sorted, so that the order of an archive does not matter."""
    content: dict[str, Any] = {
        "version": VERSION,
        "archives": {name: sorted(archives[name].names) for name in sorted(archives)},
    }
    edited = {
        name: dict(sorted(found.edited.items()))
        for name, found in sorted(archives.items())
        if found.edited is not None
    }
    content |= {"edited": edited} if edited else {}
    files.write_if_changed(path, json.dumps(content, indent=0).encode())


def read(
    path: Path,
    manifest: Manifest,
    wanted: Collection[str] | None = None,
    products_of: Callable[[str], Iterable[Product]] = lambda name: (Product(name, 0, 0),),
) -> Index:
    """The products that a listing names; counts that differ from the published ones are warnings.

    `wanted`: the archives that count, None for all; `products_of`: the products of a file in them,
    none if it does not count. Counts are compared where all files count. Raises AnnotationError
    where the listing is missing or is not ours.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AnnotationError(
            "the listing of the archive is missing", item=str(path), remedy="Run `saco prepare`"
        ) from error
    found = _archives(content, path)
    names: list[str] = []
    products: dict[str, Product] = {}
    for archive, held in found.items():
        for name in sorted(held.names) if wanted is None or archive in wanted else ():
            made = tuple(products_of(name))
            products.update((each.file_name, each) for each in made)
            names += [name] if made else []
    masks, videos, objects = count_masks(names, manifest)
    published = manifest.annotations
    counts = (
        ("masks", masks, published.masks or masks),
        ("videos", videos, published.videos or videos),
        ("objects", objects, published.objects or objects),
        ("files", len(names), published.files or len(names)),
    )
    differing = [f"{count} {what} ({right})" for what, count, right in counts if count != right]
    warnings = []
    if differing and len(names) == sum(len(held.names) for held in found.values()):
        warnings.append(f"the archive holds other counts than published: {', '.join(differing)}")
    # Another choice of files inside of archives is another index.
    choices = sorted({each.choice for each in products.values() if each.choice})
    sha256 = hashlib.sha256(b"\n".join([content, *map(str.encode, choices)])).hexdigest()
    return Index(path, sha256, products, 0, masks, tuple(warnings))


def read_archives(path: Path) -> dict[str, Found]:
    """What each archive holds that was listed; empty without a listing.

    Raises AnnotationError where the file is not ours.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    return _archives(content, path)


def count_kept(index: Index, manifest: Manifest, gone: Mapping[str, str]) -> Pruned:
    """What is left without the files in `gone`. No file is derived from a listing."""
    kept = [name for name in index.products if name not in gone]
    return Pruned(0, count_masks(kept, manifest)[0], keep_list_sha256(kept))


def count_masks(names: Iterable[str], manifest: Manifest) -> tuple[int, int, int]:
    """Numbers of masks, of videos with masks, and of objects, by the names of the files."""
    masks = [
        parts[1:]
        for parts in (PurePosixPath(name).parts for name in names)
        if len(parts) == 4 and parts[0] == manifest.annotations.folder
    ]
    return len(masks), len({each[0] for each in masks}), len({each[:2] for each in masks})


def _archives(content: bytes, path: Path) -> dict[str, Found]:
    try:
        document = untrusted_json.parse(content)
        archives, edited = document["archives"], document.get("edited", {})
        if document["version"] == VERSION and all(
            isinstance(name, str) for members in archives.values() for name in members
        ):
            return {
                name: Found(
                    set(members),
                    {video: int(count) for video, count in edited[name].items()}
                    if name in edited
                    else None,
                )
                for name, members in archives.items()
            }
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise AnnotationError("is not a listing of this tool", item=str(path), remedy=_AGAIN)
