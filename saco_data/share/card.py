"""`saco card`: what this copy of the benchmark holds, to be compared and to be cited.

A card is a folder: `card.json`, `card.txt` (a paragraph for a paper) and, for each subset, the
keep-list `<subset>.keep.txt`: the names of its files, sorted, one a line, in UTF-8, so that
`sha256sum` gives its digest. Copies with equal digests give comparable numbers.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from saco_data.config.settings import Settings
from saco_data.dataset.derive import coverage
from saco_data.dataset.pruned import keep_list_sha256
from saco_data.engine import status
from saco_data.engine.subset import Subset, bind
from saco_data.model.errors import UsageError
from saco_data.model.reasons import State
from saco_data.model.snapshot import Snapshot
from saco_data.state.ledger import Ledger
from saco_data.storage import files

NAME = "card.json"
_SOFTWARE = ("saco-data", "av", "pillow", "numpy", "simplejpeg")


@dataclass(frozen=True)
class SubsetCard:
    """What a copy holds of one subset. `names` are its files that are there, sorted.

    `losses`: files that are gone by reason; `unfinished`: what is neither there nor gone.
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
    names: list[str]

    def as_json(self, subset: str) -> dict[str, Any]:
        """Plain data; the names stand in the keep-list beside it."""
        return {
            "annotation_file": self.annotation_file,
            "annotation_sha256": self.annotation_sha256,
            "annotation_revision": self.annotation_revision,
            "files": {"total": self.files, "kept": len(self.names)},
            "image_nps": {"total": self.image_nps[0], "kept": self.image_nps[1]},
            "masks": {"total": self.masks[0], "kept": self.masks[1]},
            "losses": self.losses,
            "unfinished": self.unfinished,
            "keep_list": keep_list_name(subset),
            "keep_list_sha256": keep_list_sha256(self.names),
            "complete": self.complete,
        }


@dataclass(frozen=True)
class Card:
    """What a copy holds. Subsets that were never prepared are not on it."""

    made: str
    software: dict[str, str]
    subsets: dict[str, SubsetCard] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every subset is, as `saco status` says it."""
        return bool(self.subsets) and all(each.complete for each in self.subsets.values())

    def as_json(self) -> dict[str, Any]:
        """Plain data, as in `card.json`."""
        return {
            "format": 1,
            "made": self.made,
            "software": self.software,
            "subsets": {name: each.as_json(name) for name, each in self.subsets.items()},
            "keep_lists_sha256": self.sha256(),
            "complete": self.complete,
            "paragraph": paragraph(self),
        }

    def sha256(self) -> str:
        """One digest of all keep-lists and annotation files, by subset in alphabetical order."""
        digest = hashlib.sha256()
        for name, each in sorted(self.subsets.items()):
            line = f"{name} {each.annotation_sha256} {keep_list_sha256(each.names)}\n"
            digest.update(line.encode())
        return digest.hexdigest()


def keep_list_name(subset: str) -> str:
    """The file name of a subset's keep-list."""
    return f"{subset}.keep.txt"


def make(settings: Settings, subsets: Sequence[str]) -> Card:
    """The card of this copy, from the ledger and the annotations it knows.

    Raises UsageError where the annotations changed since the last run, or nothing was prepared.
    """
    with Ledger(settings.state, read_only=True) as ledger:
        found = {
            subset.id: _describe(subset, ledger.snapshot(subset.id, products=True))
            for subset in bind(settings, subsets)
            if ledger.facts(subset.id).files
        }
    if not found:
        raise UsageError("nothing is prepared yet", remedy="Run `saco prepare` first")
    return Card(datetime.now(UTC).isoformat(timespec="seconds"), _software(), found)


def write(settings: Settings, card: Card, folder: Path | None = None) -> Path:
    """Writes a card's folder, by default `<silver_path>/card`; returns the place of its JSON."""
    folder = folder or settings.silver / "card"
    for subset, each in card.subsets.items():
        lines = "".join(f"{name}\n" for name in each.names)
        files.write_if_changed(folder / keep_list_name(subset), lines.encode())
    files.write_if_changed(folder / "card.txt", (paragraph(card) + "\n").encode())
    files.write_if_changed(folder / NAME, json.dumps(card.as_json(), indent=1).encode() + b"\n")
    return folder / NAME


def _describe(subset: Subset, snapshot: Snapshot) -> SubsetCard:
    facts = snapshot.facts
    path = subset.config.pristine
    if facts.stamp != subset.annotations_stamp():
        raise UsageError(
            "is not the annotation file that was prepared",
            item=str(path),
            remedy=f"Run `saco prepare {subset.id}` first",
        )
    stands = status.describe(subset, snapshot)
    known = snapshot.products or {}
    names = sorted(name for name, item in known.items() if item.state is State.DONE)
    nps, masks = facts.image_nps_kept, facts.masks_kept
    known_for = (facts.keep_list_sha256, facts.derived_from)
    if known_for != (keep_list_sha256(names), facts.sha256):
        # The annotation file names files that are not there.
        kept = coverage(path, set(names).__contains__)
        nps, masks = kept.image_nps, kept.masks
    by_reason = dict(sorted(stands.reasons.items()))
    unfinished = {r.value: n for r, n in by_reason.items() if r.state is not State.GONE}
    if stands.states[State.PENDING]:
        unfinished[State.PENDING.value] = stands.states[State.PENDING]
    if stands.unconfirmed:
        unfinished["unconfirmed"] = stands.unconfirmed
    return SubsetCard(
        subset.manifest.annotations.file,
        facts.sha256,
        facts.revision,
        facts.files,
        (facts.image_nps, nps),
        (facts.masks, masks),
        {r.value: n for r, n in by_reason.items() if r.state is State.GONE},
        unfinished,
        stands.complete,
        names,
    )


def _software() -> dict[str, str]:
    from saco_data.media import frames

    found = {name: metadata.version(name) for name in _SOFTWARE}
    return {"python": platform.python_version(), **found, **frames.versions()}


def paragraph(card: Card) -> str:
    """The card in words, to be pasted into a paper."""
    subsets = card.subsets.values()
    total, kept = sum(each.files for each in subsets), sum(len(each.names) for each in subsets)
    nps = _sum(each.image_nps for each in subsets)
    masks = _sum(each.masks for each in subsets)
    software = card.software
    coverages = ", ".join(
        f"{name} {_share(each.image_nps)} / {_share(each.masks)}"
        for name, each in card.subsets.items()
    )
    losses = "; ".join(
        f"{name} {sum(each.losses.values()):,} ({_counts(each.losses)})"
        for name, each in card.subsets.items()
        if each.losses
    )
    revisions = sorted({each.annotation_revision for each in subsets if each.annotation_revision})
    sentences = [
        f"SA-Co/Silver was prepared with saco-data {software['saco-data']} (PyAV {software['av']}, "
        f"libavcodec {software['libavcodec']}, Pillow {software['pillow']}) on {card.made[:10]}.",
        f"{kept:,} of {total:,} files are available, which covers {nps[1]:,} of {nps[0]:,} "
        f"image-NPs ({_share(nps)}) and {masks[1]:,} of {masks[0]:,} masks ({_share(masks)}).",
        f"Coverage of image-NPs / masks by subset: {coverages}.",
        f"Files that no longer exist at their source: {losses}." if losses else "No file was lost.",
        f"Annotation revision: {', '.join(revisions)}." if revisions else "",
        f"The sha256 of annotations and keep-lists is {card.sha256()}; "
        "results are comparable with those on copies that have the same one.",
    ]
    unfinished = sum(sum(each.unfinished.values()) for each in subsets)
    if not card.complete:
        why = (
            f"{unfinished:,} files are neither there nor gone for sure, and " if unfinished else ""
        )
        sentences.append(f"This copy is NOT complete: {why}its numbers are not final.")
    return " ".join(sentence for sentence in sentences if sentence)


def _sum(pairs: Any) -> tuple[int, int]:
    totals, kept = zip(*pairs, strict=True)
    return sum(totals), sum(kept)


def _share(pair: tuple[int, int]) -> str:
    """Rounded down: 100 % means all."""
    total, kept = pair
    return f"{int(1000 * kept / total) / 10 if total else 100:g} %"


def _counts(reasons: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
