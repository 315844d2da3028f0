"""Writes annotation files without the entries whose files are not kept."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from saco_data.dataset.raw_json import _bytes, _entries, _explained, _Mask, _Name, _parts
from saco_data.model.errors import Incomplete, OutputError
from saco_data.storage import files


@dataclass(frozen=True)
class Kept:
    """What a derived file holds: counts, and `removed` as {file_name: [ids of its pairs]}."""

    image_nps: int
    masks: int
    removed: dict[str, list[int | str]]


def derive(source: Path, to: Path, keeps: Callable[[str], bool], sha256: str = "") -> Kept:
    """Writes `source` without the pairs whose `file_name` is not kept, and without their masks.

    Order, all other fields, `info`, `categories` and negative phrases stay. Atomic; an identical
    file is left alone. Raises AnnotationError as `read` does, DiskFull and OutputError (also where
    `to` is `source` itself), and Incomplete where `source` is not the file that had `sha256`.
    """
    if to.exists() and to.samefile(source):
        raise OutputError(
            "is the downloaded annotation file, which is never modified",
            item=str(to),
            remedy="Write elsewhere: choose another folder for what is derived",
        )
    chosen = _chosen(source, keeps, sha256)
    if not chosen.removed:
        files.copy_if_changed(source, to)
        return chosen.kept
    with files.open_atomic(to) as out:
        separator = b"{"
        for key, value in chosen.parts.items():
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
    """What `derive` would keep. Raises AnnotationError as `read` does."""
    return _chosen(source, keeps).kept


@dataclass(frozen=True)
class _Chosen:
    parts: dict[str, msgspec.Raw]
    images: list[msgspec.Raw]
    masks: list[msgspec.Raw]
    removed: dict[str, list[int | str]]

    @property
    def kept(self) -> Kept:
        return Kept(len(self.images), len(self.masks), self.removed)


def _chosen(source: Path, keeps: Callable[[str], bool], sha256: str = "") -> _Chosen:
    """The entries of an annotation file that are kept, as the bytes that were read."""
    content = _bytes(source)
    if sha256 and hashlib.sha256(content).hexdigest() != sha256:
        raise Incomplete("changed while it was worked with", item=str(source), remedy="Run again")
    parts = _parts(content, source)
    removed: dict[str, list[int | str]] = {}
    gone_ids: set[int | str] = set()
    images: list[msgspec.Raw] = []
    decode = msgspec.json.Decoder(_Name).decode
    verdicts: dict[str, bool] = {}
    with _explained(source, "images"):
        for raw in _entries(parts, "images", source):
            entry = decode(raw)
            name = entry.file_name
            keep = verdicts.get(name)
            if keep is None:
                keep = verdicts[name] = keeps(name)
            if keep:
                images.append(raw)
            else:
                removed.setdefault(name, []).append(entry.id)
                gone_ids.add(entry.id)
    masks = _entries(parts, "annotations", source)
    if removed:
        mask_of = msgspec.json.Decoder(_Mask).decode
        with _explained(source, "annotations"):
            masks = [raw for raw in masks if mask_of(raw).image_id not in gone_ids]
    return _Chosen(parts, images, masks, removed)


def _write_list(write: Callable[[bytes], object], entries: list[msgspec.Raw]) -> None:
    """Writes raw entries in slices: one small write each would cost more than the join."""
    write(b"[")
    for start in range(0, len(entries), 4096):
        if start:
            write(b", ")
        write(b", ".join(entries[start : start + 4096]))
    write(b"]")
