"""Writes annotation files without the entries whose files are not kept.

Entries are carried over as the bytes that were read: unknown fields, number formats and key order
survive. The source is never modified.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from saco_data.dataset import raw_json
from saco_data.dataset.raw_json import Document, Id
from saco_data.model.errors import Incomplete, OutputError
from saco_data.storage import files


@dataclass(frozen=True)
class Kept:
    """What a derived file holds: counts, and `removed` as {file_name: [ids of its pairs]}."""

    image_nps: int
    masks: int
    removed: dict[str, list[Id]]


def derive(source: Path, to: Path, keeps: Callable[[str], bool], sha256: str = "") -> Kept:
    """Writes `source` without the pairs whose `file_name` is not kept, and without their masks.

    Order, all other fields, `info`, `categories` and negative phrases stay. The result is UTF-8
    and valid JSON also where `source` is not. Atomic; an identical file is left alone. Raises
    AnnotationError as `index.read` does, DiskFull and OutputError (also where `to` is `source`
    itself), and Incomplete where `source` is not the file that had `sha256`.
    """
    if to.exists() and to.samefile(source):
        raise OutputError(
            "is the downloaded annotation file, which is never modified",
            item=str(to),
            remedy="Choose another folder for derived files",
        )
    document = raw_json.read(source)
    if sha256 and document.sha256 != sha256:
        raise Incomplete("changed since it was read", item=str(source), remedy="Run again")
    chosen = _choose(document, keeps)
    if not chosen.removed and not document.repairs:
        files.copy_if_changed(source, to)
        return chosen.kept
    with files.open_atomic(to) as out:
        separator = b"{"
        for key, value in document.members.items():
            out.write(separator + msgspec.json.encode(key) + b": ")
            if key == "images":
                _write_list(out.write, chosen.images)
            elif key == "annotations":
                _write_list(out.write, chosen.masks)
            else:
                out.write(value)
            separator = b", "
        out.write(b"}")
    return chosen.kept


def coverage(source: Path, keeps: Callable[[str], bool]) -> Kept:
    """What `derive` would keep. Raises AnnotationError as `index.read` does."""
    return _choose(raw_json.read(source), keeps).kept


@dataclass(frozen=True)
class _Chosen:
    """The entries that are kept, as the bytes that were read."""

    images: list[msgspec.Raw]
    masks: list[msgspec.Raw]
    removed: dict[str, list[Id]]

    @property
    def kept(self) -> Kept:
        return Kept(len(self.images), len(self.masks), self.removed)


def _choose(document: Document, keeps: Callable[[str], bool]) -> _Chosen:
    removed: dict[str, list[Id]] = {}
    removed_ids: set[Id] = set()
    images: list[msgspec.Raw] = []
    kept_ids: list[Id] = []
    verdicts: dict[str, bool] = {}
    for raw, pair in document.pairs():
        name = pair.file_name
        keep = verdicts.get(name)
        if keep is None:
            raw_json.check_picture(pair, document.path)
            keep = verdicts[name] = keeps(name)
        if keep:
            images.append(raw)
            kept_ids.append(pair.id)
        else:
            removed.setdefault(name, []).append(pair.id)
            removed_ids.add(pair.id)
    # Of two pairs with one id, one may stay: so do the masks.
    removed_ids.difference_update(kept_ids)
    masks = [raw for raw, mask in document.annotations() if mask.image_id not in removed_ids]
    return _Chosen(images, masks, removed)


def _write_list(write: Callable[[bytes], object], entries: list[msgspec.Raw]) -> None:
    """Writes raw entries in slices, which is faster than one small write for each."""
    write(b"[")
    for start in range(0, len(entries), 4096):
        if start:
            write(b", ")
        write(b", ".join(entries[start : start + 4096]))
    write(b"]")
