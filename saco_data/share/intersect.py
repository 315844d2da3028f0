"""`saco intersect`: annotation files with only the files that several copies all have.

Every laboratory gets the same bytes: each derives them from the same pristine file and the same
names.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from saco_data.config.settings import Settings
from saco_data.dataset import pruned
from saco_data.dataset.index import read
from saco_data.model.errors import UsageError
from saco_data.share.copies import Copy
from saco_data.share.matching import judge_pair
from saco_data.storage import folders

REASON = "not_in_every_copy"
DIFFERS = "pictures_differ"


@dataclass(frozen=True)
class Common:
    """What was written for one subset: counts as (total, kept), and the digest of the keep-list.

    `differing`: files that all copies have, but whose pictures do not agree by the locks.
    """

    path: Path
    files: tuple[int, int]
    image_nps: tuple[int, int]
    masks: tuple[int, int]
    keep_list_sha256: str
    # Number of annotated files in each copy, by the path of its card.
    copies: dict[str, int]
    differing: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain data for `--json`."""
        return {
            "path": str(self.path),
            "files": {"total": self.files[0], "kept": self.files[1]},
            "image_nps": {"total": self.image_nps[0], "kept": self.image_nps[1]},
            "masks": {"total": self.masks[0], "kept": self.masks[1]},
            "keep_list_sha256": self.keep_list_sha256,
            "copies": self.copies,
            "differing": self.differing,
        }


def intersect(
    settings: Settings, copies: Sequence[Copy], subsets: Iterable[str], folder: Path | None = None
) -> dict[str, Common]:
    """Writes annotation files with what all copies have, by default to `silver/intersection`.

    Covers the subsets that are in all copies. Of copies given by their locks, only the files whose
    pictures agree in each two of them are kept. Raises UsageError if copies were made with
    different annotations, AnnotationError if the annotations are missing here.
    """
    folder = folder or settings.silver / "intersection"
    folders.sweep(folder, below=False, idle_seconds=folders.IDLE_SECONDS)
    shared = [name for name in subsets if all(name in copy.names for copy in copies)]
    if not shared:
        remedy = "Give cards, keep-lists or locks of the same subsets"
        raise UsageError("the copies have no subset in common", remedy=remedy)
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
    differing = frozenset(name for name in common if not _agree(copies, subset, name))
    if differing == common:
        raise UsageError(
            f"no picture of {subset} agrees in all copies", remedy="Leave it out, or `saco compare`"
        )
    missing = {
        name: DIFFERS if name in differing else REASON
        for name in index.products
        if name not in common or name in differing
    }
    to = folder / config.manifest.annotations.file
    done = pruned.run(source, index.sha256, to, index.products, missing)
    return Common(
        to,
        (len(index.products), len(common) - len(differing)),
        (index.image_nps, done.image_nps),
        (index.masks, done.masks),
        done.keep_list_sha256,
        {str(copy.source): len(copy.names[subset] & index.products.keys()) for copy in copies},
        len(differing),
    )


def _agree(copies: Sequence[Copy], subset: str, name: str) -> bool:
    """Whether a picture is the same in each two of the copies that are given by their locks."""
    known = [copy.pictures[subset][name] for copy in copies if subset in copy.pictures]
    return all(judge_pair(one, other).agrees for one, other in combinations(known, 2))
