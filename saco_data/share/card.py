"""`saco card`: what this copy of the benchmark has, for comparison and citation.

A card is a folder: `card.json`, `card.txt` (a paragraph for a paper), `missing.json` (the files
that are not here, by reason) and, for each subset, the keep-list `<subset>.keep.txt`: the names of
its files, sorted, one a line, in UTF-8, so that `sha256sum` gives its digest. Results on copies
with equal digests are comparable.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

from saco_data.config.settings import Settings
from saco_data.dataset.pruned import keep_list_sha256
from saco_data.engine import status
from saco_data.engine.subset import Subset, bind
from saco_data.model.errors import UsageError
from saco_data.model.items import Item
from saco_data.model.reasons import State
from saco_data.share import lock, shifts
from saco_data.share.paragraph import write_paragraph
from saco_data.state.ledger import Ledger
from saco_data.storage import files, folders

NAME = "card.json"
MISSING = "missing.json"
_SOFTWARE = ("saco-data", "av", "pillow", "numpy", "simplejpeg")


@dataclass(frozen=True)
class SubsetCard:
    """What a copy has of one subset. `names`: its finished files, sorted.

    `losses`: number of gone files by reason. `unfinished`: number of other missing files by reason.
    """

    annotation_file: str
    annotation_sha256: str
    annotation_revision: str
    files: int
    image_nps: tuple[int, int]  # total, kept
    masks: tuple[int, int]
    losses: dict[str, int]
    unfinished: dict[str, int]
    complete: bool
    # Of the kept ones, those whose picture is here: image-NPs, masks.
    usable: tuple[int, int]
    names: list[str]
    # Numbers of frames that are made with a reserve: see docs/exactness.md.
    hdr: int = 0
    concealed: int = 0
    # The names of the files that are not here, by reason.
    missing: dict[str, list[str]] = field(default_factory=dict)
    # What `saco lock --against-masks` found; None where it did not look.
    against_masks: shifts.Found | None = None

    @cached_property
    def keep_list_sha256(self) -> str:
        """The digest of its keep-list."""
        return keep_list_sha256(self.names)

    def as_json(self, subset: str) -> dict[str, Any]:
        """Plain data, without the names: they are in the keep-list."""
        found = self.against_masks
        return {
            "annotation_file": self.annotation_file,
            "annotation_sha256": self.annotation_sha256,
            "annotation_revision": self.annotation_revision,
            "files": {"total": self.files, "kept": len(self.names)},
            "image_nps": _counts(self.image_nps, self.usable[0]),
            "masks": _counts(self.masks, self.usable[1]),
            "losses": self.losses,
            "unfinished": self.unfinished,
            "frames": {"hdr": self.hdr, "concealed": self.concealed},
            "keep_list": keep_list_name(subset),
            "keep_list_sha256": self.keep_list_sha256,
            "complete": self.complete,
            **({} if found is None else {"against_masks": vars(found)}),
        }


@dataclass(frozen=True)
class Card:
    """What a copy has; without the subsets that were never prepared."""

    made: str
    software: dict[str, str]
    # Of the collections that its subsets are of.
    title: str
    subsets: dict[str, SubsetCard] = field(default_factory=dict)
    # The sha256 of the lock of this copy; "" without one, or where the copy changed since.
    lock_sha256: str = ""

    @property
    def complete(self) -> bool:
        """Whether every subset is complete, as in `saco status`."""
        return bool(self.subsets) and all(each.complete for each in self.subsets.values())

    def as_json(self) -> dict[str, Any]:
        """Plain data, as in `card.json`."""
        return {
            "format": 1,
            "made": self.made,
            "software": self.software,
            "subsets": {name: each.as_json(name) for name, each in self.subsets.items()},
            "keep_lists_sha256": self.sha256(),
            "lock_sha256": self.lock_sha256,
            "complete": self.complete,
            "paragraph": write_paragraph(self),
        }

    def sha256(self) -> str:
        """One digest of all keep-lists and annotation files, in alphabetical order of subsets."""
        digest = hashlib.sha256()
        for name, each in sorted(self.subsets.items()):
            line = f"{name} {each.annotation_sha256} {each.keep_list_sha256}\n"
            digest.update(line.encode())
        return digest.hexdigest()


def _counts(of: tuple[int, int], usable: int) -> dict[str, int]:
    return {"total": of[0], "kept": of[1], "usable": usable}


def keep_list_name(subset: str) -> str:
    """The file name of a subset's keep-list."""
    return f"{subset}.keep.txt"


def make(settings: Settings, subsets: Sequence[str]) -> Card:
    """The card of this copy, from the ledger and the annotation files.

    Raises UsageError where the annotations changed since the last run, or nothing was prepared.
    """
    with Ledger(settings.state, read_only=True) as ledger:
        cards = {
            subset.id: _describe(subset, ledger)
            for subset in bind(settings, subsets)
            if ledger.facts(subset.id).files
        }
    if not cards:
        raise lock.nothing_prepared(settings, subsets)
    copy = {name: (each.annotation_sha256, each.keep_list_sha256) for name, each in cards.items()}
    made = datetime.now(UTC).isoformat(timespec="seconds")
    title = settings.registry.title_of(cards)
    return Card(made, _list_software(), title, cards, lock.current_sha256(settings, copy))


def write(settings: Settings, card: Card, folder: Path | None = None) -> Path:
    """Writes a card's folder, by default `<silver_path>/card`; returns the path of its JSON."""
    folder = folder or settings.silver / "card"
    folders.sweep(folder, below=False, idle_seconds=folders.IDLE_SECONDS)
    for subset, each in card.subsets.items():
        lines = "".join(f"{name}\n" for name in each.names)
        files.write_if_changed(folder / keep_list_name(subset), lines.encode())
    missing = {subset: each.missing for subset, each in card.subsets.items()}
    files.write_if_changed(folder / MISSING, json.dumps(missing, indent=1).encode() + b"\n")
    files.write_if_changed(folder / "card.txt", (write_paragraph(card) + "\n").encode())
    files.write_if_changed(folder / NAME, json.dumps(card.as_json(), indent=1).encode() + b"\n")
    return folder / NAME


def _describe(subset: Subset, ledger: Ledger) -> SubsetCard:
    snapshot = ledger.snapshot(subset.id, products=True)
    # Only frames have such facts, and reading all facts of a million pictures takes minutes.
    frames = ledger.items(subset.id, state=State.DONE) if subset.manifest.frames else {}
    facts = snapshot.facts
    path = subset.config.pristine
    if facts.stamp != subset.annotations_stamp():
        raise UsageError(
            "is not the annotation file that was prepared",
            item=str(path),
            remedy=f"Run `saco prepare {subset.id}` first",
        )
    state = status.describe(subset, snapshot)
    known = snapshot.products or {}
    names = sorted(name for name, item in known.items() if item.state is State.DONE)
    nps, masks = facts.image_nps_kept, facts.masks_kept
    digest = keep_list_sha256(names)
    if (facts.keep_list_sha256, facts.derived_from) != (digest, facts.sha256):
        # Derived annotations are missing or name files that are missing: count here.
        nps, masks = subset.coverage(set(names))
    by_reason = dict(sorted(state.reasons.items()))
    unfinished = {r.value: n for r, n in by_reason.items() if r.state is not State.GONE}
    if state.states[State.PENDING]:
        unfinished[State.PENDING.value] = state.states[State.PENDING]
    if state.unconfirmed:
        unfinished["unconfirmed"] = state.unconfirmed
    return SubsetCard(
        subset.manifest.annotations.file,
        facts.sha256,
        facts.revision,
        facts.files,
        (facts.image_nps, nps),
        (facts.masks, masks),
        {r.value: n for r, n in by_reason.items() if r.state is State.GONE},
        unfinished,
        state.complete,
        state.usable,
        names,
        sum(item.is_hdr for item in frames.values()),
        sum(item.is_concealed for item in frames.values()),
        _list_missing(known),
        shifts.known(subset.config.settings, subset.id, facts.sha256, digest),
    )


def _list_missing(known: Mapping[str, Item]) -> dict[str, list[str]]:
    """The files that are not here, by reason: those that the ledger knows as not done."""
    found: dict[str, list[str]] = {}
    for name, item in sorted(known.items()):
        if item.state is not State.DONE:
            found.setdefault(item.reason.value, []).append(name)
    return found


def _list_software() -> dict[str, str]:
    from saco_data.media import frames

    packages = {name: metadata.version(name) for name in _SOFTWARE}
    return {"python": platform.python_version(), **packages, **frames.versions()}
