"""What a copy of the benchmark has, by what its laboratory sent: card, keep-list, lock, folder."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from saco_data.catalog.registry import Registry
from saco_data.dataset import pairs, pruned
from saco_data.model.errors import UsageError
from saco_data.share import card, lock_file
from saco_data.share.matching import Description
from saco_data.storage import untrusted_json
from saco_data.storage.names import UnsafeName, safe_join

_REMEDY = (
    "Give the folder that `saco card` wrote, its card.json, keep-lists <subset>.keep.txt, or what "
    "`saco lock` wrote"
)


@dataclass(frozen=True)
class Copy:
    """What one copy has: file names by subset, and the sha256 of its annotations if known.

    `pictures`: what a lock says of each file. `missing`: why files are missing, by subset and name,
    where it is known.
    """

    source: Path
    names: dict[str, frozenset[str]]
    annotations: dict[str, str]
    pictures: dict[str, dict[str, Description]] = field(default_factory=dict)
    missing: dict[str, dict[str, str]] = field(default_factory=dict)


def load(path: Path, known: Container[str]) -> Copy:
    """A copy from its card (a folder or the JSON in it), from one keep-list, or from its lock.

    `known`: the ids of all subsets. Raises UsageError for other files, and where a keep-list does
    not have the digest on its card.
    """
    if path.is_dir():
        path = path / card.NAME
    if path.suffix == ".parquet":
        return _load_lock(path, known)
    if path.suffix == ".txt":
        subset = path.name.partition(".")[0]
        if subset not in known:
            raise UsageError(
                "its name does not begin with a subset", item=str(path), remedy=_REMEDY
            )
        return Copy(path, {subset: _read_names(path)}, {})
    return _load_card(path, known)


def load_any(path: Path, registry: Registry) -> Copy:
    """As `load`; also from the folder of a prepared copy (it has `annotations/`)."""
    if path.is_dir() and not (path / card.NAME).is_file() and (path / "annotations").is_dir():
        return _load_folder(path, registry)
    return load(path, registry.ids)


def _load_card(path: Path, known: Container[str]) -> Copy:
    try:
        content = untrusted_json.parse(path.read_bytes())
        entries = {
            str(subset): (str(each["keep_list"]), str(each["keep_list_sha256"]))
            for subset, each in content["subsets"].items()
            if subset in known
        }
        digests = {name: str(content["subsets"][name]["annotation_sha256"]) for name in entries}
    except OSError as error:
        what = f"is not a card ({error.strerror})"
        raise UsageError(what, item=str(path), remedy=_REMEDY) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError("is not a card", item=str(path), remedy=_REMEDY) from error
    names = {}
    for subset, (keep_list, digest) in entries.items():
        try:
            # The card is untrusted: use the last part of the name only.
            path_of_list = safe_join(path.parent, keep_list.rpartition("/")[2])
        except UnsafeName as error:
            raise UsageError(
                f"names no keep-list for {subset} ({error})", item=str(path), remedy=_REMEDY
            ) from error
        names[subset] = _read_names(path_of_list)
        if pruned.keep_list_sha256(names[subset]) != digest:
            raise UsageError(
                f"differs from the keep-list that {path.name} names (sha256)",
                item=str(path_of_list),
                remedy="Get both from the same `saco card`",
            )
    return Copy(path, names, digests, missing=_read_missing(path.parent / card.MISSING))


def _read_missing(path: Path) -> dict[str, dict[str, str]]:
    """Why files are missing, by subset and name; {} where the card does not say it."""
    try:
        content = untrusted_json.parse(path.read_bytes())
        return {str(subset): _by_name(reasons) for subset, reasons in content.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _by_name(reasons: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(reason) for reason, names in reasons.items() for name in names}


def _load_lock(path: Path, known: Container[str]) -> Copy:
    lock = lock_file.read(path)
    digests = {name: each.annotation_sha256 for name, each in lock.subsets.items() if name in known}
    pictures: dict[str, dict[str, Description]] = {name: {} for name in digests}
    for row in lock.rows():
        if row.subset in pictures:
            pictures[row.subset][row.file] = row.description
    names = {name: frozenset(files) for name, files in pictures.items()}
    return Copy(path, names, digests, pictures)


def _load_folder(root: Path, registry: Registry) -> Copy:
    """The files of a prepared copy that its annotations name and that are there."""
    names: dict[str, frozenset[str]] = {}
    missing: dict[str, dict[str, str]] = {}
    for manifest in registry.manifests:
        path = root / "annotations" / manifest.annotations.file
        if manifest.is_listed or not path.is_file():
            continue
        images = root / manifest.products_folder
        named = pairs.read(path).by_file()
        names[manifest.id] = frozenset(name for name in named if _is_there(images, name))
        why = {name: "no_file" for name in named if name not in names[manifest.id]}
        for record in (pruned.partial(path), path):
            why |= _removed(pruned.sidecar(record))
        missing[manifest.id] = why
    if not names:
        raise UsageError("holds no prepared subset", item=str(root), remedy=_REMEDY)
    return Copy(root, names, {}, missing=missing)


def _is_there(folder: Path, name: str) -> bool:
    try:
        return safe_join(folder, name).is_file()
    except UnsafeName:
        return False


def _removed(sidecar: Path) -> dict[str, str]:
    try:
        content = untrusted_json.parse(sidecar.read_bytes())
        return _by_name(content["removed_files_by_reason"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _read_names(path: Path) -> frozenset[str]:
    try:
        # Not `splitlines`: names may contain other characters that it takes for line ends.
        return frozenset(filter(None, path.read_bytes().decode().split("\n")))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the keep-list cannot be read ({error})", item=str(path), remedy=_REMEDY
        ) from error
