"""Writes the annotation file that evaluation reads: the downloaded one without what is gone.

Reversible: the file is always derived from the downloaded one, so entries whose file is available
again return to their place in the next run. A sidecar says what was removed and why.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from saco_data.dataset.derive import derive
from saco_data.dataset.raw_json import Id
from saco_data.storage import files


@dataclass(frozen=True)
class Pruned:
    """The derived file: numbers of entries kept, and the sha256 of the keep-list."""

    image_nps: int
    masks: int
    keep_list_sha256: str


def keep_list_sha256(names: Iterable[str]) -> str:
    """The sha256 of the kept `file_name`s: sorted, each followed by a newline, in UTF-8.

    Two copies with equal digests hold the same files and so give comparable numbers.
    """
    digest = hashlib.sha256()
    for name in sorted(names):
        digest.update(name.encode() + b"\n")
    return digest.hexdigest()


def removed_sha256(gone: Mapping[str, str]) -> str:
    """The sha256 of what is to be removed and why ({file_name: reason})."""
    return keep_list_sha256(f"{name} {reason}" for name, reason in gone.items())


def sidecar(path: Path) -> Path:
    """The path of the record of what was removed from a derived file."""
    return path.with_name(f"{path.stem}.pruned.json")


def partial(derived: Path) -> Path:
    """The path beside a derived file for what can be evaluated while the copy is incomplete."""
    return derived.parent.with_name("annotations_partial") / derived.name


def find_partial(derived: Path) -> Path | None:
    """The partial file of a copy, where it holds less than the derived file; else None."""
    path = partial(derived)
    try:
        return None if path.samefile(derived) else path
    except OSError:
        return path if path.is_file() else None


def run(
    source: Path, source_sha256: str, to: Path, names: Iterable[str], gone: Mapping[str, str]
) -> Pruned:
    """Derives `to` from `source` without the files in `gone` ({file_name: reason}).

    `names` are all file names of the source. Raises AnnotationError, DiskFull, OutputError, and
    Incomplete where the source changed meanwhile.
    """
    kept = derive(source, to, lambda name: name not in gone, source_sha256)
    digest = keep_list_sha256(name for name in names if name not in gone)
    record = sidecar(to)
    if not kept.removed:
        record.unlink(missing_ok=True)
        return Pruned(kept.image_nps, kept.masks, digest)
    by_reason: dict[str, list[Id]] = {}
    for name, ids in kept.removed.items():
        by_reason.setdefault(gone[name], []).extend(ids)
    content = {
        "source": to.name,  # the official name, even if the downloaded file has another
        "source_sha256": source_sha256,
        "keep_list_sha256": digest,
        "removed_ids_by_reason": {reason: by_reason[reason] for reason in sorted(by_reason)},
        "removed_files_by_reason": {
            reason: sorted(name for name in kept.removed if gone[name] == reason)
            for reason in sorted(by_reason)
        },
        "kept": {"image_nps": kept.image_nps, "masks": kept.masks},
    }
    files.write_if_changed(record, json.dumps(content, indent=1).encode())
    return Pruned(kept.image_nps, kept.masks, digest)
