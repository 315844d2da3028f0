"""`saco intersect`: annotation files with only the files that several copies all have.

Every laboratory gets the same bytes: each derives them from the same pristine file and the same
names.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saco_data.config.settings import Settings
from saco_data.dataset import pruned
from saco_data.dataset.index import read
from saco_data.model.errors import UsageError
from saco_data.share import card
from saco_data.storage import folders, untrusted_json
from saco_data.storage.names import UnsafeName, safe_join

REASON = "not_in_every_copy"
_REMEDY = "Give the folder that `saco card` wrote, its card.json, or keep-lists <subset>.keep.txt"


@dataclass(frozen=True)
class Copy:
    """What one copy has: file names by subset, and the sha256 of its annotations if known."""

    source: Path
    names: dict[str, frozenset[str]]
    annotations: dict[str, str]


@dataclass(frozen=True)
class Common:
    """What was written for one subset: counts as (total, kept), and the digest of the keep-list."""

    path: Path
    files: tuple[int, int]
    image_nps: tuple[int, int]
    masks: tuple[int, int]
    keep_list_sha256: str
    # Number of annotated files in each copy, by the path of its card.
    copies: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {
            "path": str(self.path),
            "files": {"total": self.files[0], "kept": self.files[1]},
            "image_nps": {"total": self.image_nps[0], "kept": self.image_nps[1]},
            "masks": {"total": self.masks[0], "kept": self.masks[1]},
            "keep_list_sha256": self.keep_list_sha256,
            "copies": self.copies,
        }


def load(path: Path, known: Container[str]) -> Copy:
    """A copy from its card (a folder or the JSON in it) or from one keep-list.

    `known`: the ids of all subsets. Raises UsageError for other files, and where a keep-list does
    not have the digest on its card.
    """
    if path.is_dir():
        path = path / card.NAME
    if path.suffix == ".txt":
        subset = path.name.partition(".")[0]
        if subset not in known:
            raise UsageError(
                "its name does not begin with a subset", item=str(path), remedy=_REMEDY
            )
        return Copy(path, {subset: _read_names(path)}, {})
    try:
        content = untrusted_json.parse(path.read_bytes())
        entries = {
            str(subset): (str(each["keep_list"]), str(each["keep_list_sha256"]))
            for subset, each in content["subsets"].items()
            if subset in known
        }
        digests = {name: str(content["subsets"][name]["annotation_sha256"]) for name in entries}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"is not a card ({error})", item=str(path), remedy=_REMEDY) from error
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
    return Copy(path, names, digests)


def _read_names(path: Path) -> frozenset[str]:
    try:
        # Not `splitlines`: names may contain other characters that it takes for line ends.
        return frozenset(filter(None, path.read_bytes().decode().split("\n")))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the keep-list cannot be read ({error})", item=str(path), remedy=_REMEDY
        ) from error


def intersect(
    settings: Settings, copies: Sequence[Copy], subsets: Iterable[str], folder: Path | None = None
) -> dict[str, Common]:
    """Writes annotation files with what all copies have, by default to `silver/intersection`.

    Covers the subsets that are in all copies. Raises UsageError if copies were made with different
    annotations, AnnotationError if the annotations are missing here.
    """
    folder = folder or settings.silver / "intersection"
    folders.sweep(folder, below=False, idle_seconds=folders.IDLE_SECONDS)
    shared = [name for name in subsets if all(name in copy.names for copy in copies)]
    if not shared:
        raise UsageError("the copies have no subset in common", remedy=_REMEDY)
    return {subset: _intersect_subset(settings, copies, subset, folder) for subset in shared}


def _intersect_subset(
    settings: Settings, copies: Sequence[Copy], subset: str, folder: Path
) -> Common:
    config = settings.subset(subset)
    source = config.pristine
    index = read(source, config.manifest)
    for copy in copies:
        if copy.annotations.get(subset, index.sha256) != index.sha256:
            raise UsageError(
                f"was made with other annotations of {subset} than {source} "
                f"(sha256 {copy.annotations[subset][:12]}, here {index.sha256[:12]})",
                item=str(copy.source),
                remedy="Agree on one revision, then prepare and write the cards again",
            )
    common = frozenset(index.products).intersection(*(copy.names[subset] for copy in copies))
    if not common:
        raise UsageError(f"the copies have no file of {subset} in common", remedy="Leave it out")
    missing = {name: REASON for name in index.products if name not in common}
    to = folder / config.manifest.annotations.file
    done = pruned.run(source, index.sha256, to, index.products, missing)
    return Common(
        to,
        (len(index.products), len(common)),
        (index.image_nps, done.image_nps),
        (index.masks, done.masks),
        done.keep_list_sha256,
        {str(copy.source): len(copy.names[subset] & index.products.keys()) for copy in copies},
    )
