"""The listing of an archive as the index of a subset: products are members, as they are.

The listing is a JSON file of ours: `{"version": 1, "archives": {<archive>: [<file name>, ...]}}`,
written once the whole archive was read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath

from saco_data.catalog.manifest import Manifest
from saco_data.dataset.index import Index
from saco_data.dataset.pruned import Pruned, keep_list_sha256
from saco_data.model.errors import AnnotationError
from saco_data.model.records import Product
from saco_data.storage import files, untrusted_json

VERSION = 1
_AGAIN = "Remove it, and run `saco prepare`: it reads the archive again"


def write(path: Path, archives: Mapping[str, Iterable[str]]) -> None:
    """Writes a listing; names are sorted, so that the order of an archive does not matter."""
    content = {
        "version": VERSION,
        "archives": {name: sorted(archives[name]) for name in sorted(archives)},
    }
    files.write_if_changed(path, json.dumps(content, indent=0).encode())


def read(
    path: Path,
    manifest: Manifest,
    wanted: Collection[str] | None = None,
    is_wanted: Callable[[str], bool] = lambda name: True,
) -> Index:
    """The products that a listing names; counts that differ from the published ones are warnings.

    `wanted`: the archives that count; `is_wanted`: whether a file does. Counts are compared where
    all files do. Raises AnnotationError where the listing is missing or is not ours.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise AnnotationError(
            "the listing of the archive is missing", item=str(path), remedy="Run `saco prepare`"
        ) from error
    found = _archives(content, path)
    every = [name for members in found.values() for name in members]
    names = [
        name
        for archive, members in found.items()
        for name in members
        if (wanted is None or archive in wanted) and is_wanted(name)
    ]
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
    if differing and len(names) == len(every):
        warnings.append(f"the archive holds other counts than published: {', '.join(differing)}")
    products = {name: Product(name, 0, 0) for name in names}
    sha256 = hashlib.sha256(content).hexdigest()
    return Index(path, sha256, products, 0, masks, tuple(warnings))


def archives(path: Path) -> dict[str, list[str]]:
    """The file names of each archive that was listed; empty without a listing.

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


def _archives(content: bytes, path: Path) -> dict[str, list[str]]:
    try:
        document = untrusted_json.parse(content)
        found = document["archives"]
        if document["version"] == VERSION and all(
            isinstance(name, str) for members in found.values() for name in members
        ):
            return dict(found)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise AnnotationError("is not a listing of this tool", item=str(path), remedy=_AGAIN)
