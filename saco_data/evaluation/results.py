"""What an evaluation returns: records that are printed, kept in files and compared.

Nothing here needs numpy: what is remembered is shown at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from saco_data.evaluation.findings import Finding

VERSION = 1
SUBSETS = 10  # a mean of fewer is not called Average


SAMPLES = 1000  # of the bootstrap
SEED = 0

Three = dict[str, float]  # cgF1, IL_MCC, pmF1


class Coverage(msgspec.Struct):
    """`image_nps` and `masks`: [here, of all]; `predicted`: image-NPs with any prediction.

    `published`: the official number of evaluated image-NPs, where it is known.
    """

    image_nps: tuple[int, int]
    masks: tuple[int, int]
    predicted: int
    published: int | None = None

    @property
    def is_complete(self) -> bool:
        """Whether the number stands on all image-NPs that the benchmark evaluates."""
        here, all_of_them = self.image_nps
        return here == all_of_them and self.published in (None, all_of_them)

    def in_words(self) -> str:
        """`on 28 of 29 image-NPs, 40 of 41 masks`."""
        here, whole = self.image_nps
        whole = max(whole, self.published or 0)
        masks = f"{self.masks[0]:,} of {self.masks[1]:,} masks"
        if self.published is not None and self.published > self.image_nps[1]:
            masks = f"{self.masks[0]:,} masks"  # how many the missing ones have is not known
        return f"on {here:,} of {whole:,} image-NPs, {masks}"


class Views(msgspec.Struct):
    """The three numbers where something is missing.

    `as_official`: what is missing counts as nothing predicted; `here`: only what is here;
    `worst`, `best`: the missing all wrong (nothing found where something is, something where
    nothing is), or all right.
    """

    as_official: Three
    here: Three
    worst: Three
    best: Three


class Interval(msgspec.Struct):
    """95 % intervals [low, high] of cgF1, IL_MCC and pmF1, and how they were made."""

    cgF1: tuple[float, float]  # noqa: N815 - the field's own names
    IL_MCC: tuple[float, float]
    pmF1: tuple[float, float]  # noqa: N815
    unit: str
    units: int
    samples: int
    seed: int


class ItemRecord(msgspec.Struct):
    """`Items` as plain data, to be kept in a file; see there. `tp`: ten numbers a row."""

    unit_kind: str
    evaluated: int
    ids: list[int | float | str]
    positions: list[int]
    units: list[int]
    truth: list[int]
    predicted: list[int]
    tp: list[list[int]]
    here: list[bool]
    negatives: list[int]


class SubsetResult(msgspec.Struct):
    """The evaluation of one prediction file. Numbers are fractions, as the official ones.

    `official`: the 26 numbers under the official keys; `headline`: cgF1, IL_MCC, pmF1 of what is
    shown first, on `shown` ("official" or "here"); `views` where something is missing.
    """

    name: str
    predictions: str
    ground_truth: list[str]
    gt_sha256: list[str]
    iou_type: str
    official: dict[str, float]
    headline: Three
    shown: str
    counts: dict[str, list[int]]
    coverage: Coverage
    views: Views | None
    interval: Interval | None
    findings: list[Finding]
    notes: list[str]
    entries: int
    dropped: int
    record: ItemRecord

    def as_json(self, *, items: bool = False) -> dict[str, Any]:
        """Plain data, as `saco eval --json` prints it; with `items`, the counts of each."""
        shown: dict[str, Any] = {
            "official": self.official,
            "counts": self.counts,
            "coverage": msgspec.to_builtins(self.coverage),
            "headline": {**self.headline, "on": self.shown},
            "interval_95": None,
            "views": msgspec.to_builtins(self.views),
            "gt_sha256": self.gt_sha256[0] if len(self.gt_sha256) == 1 else self.gt_sha256,
            "ground_truth": self.ground_truth,
            "predictions": self.predictions,
            "iou_type": self.iou_type,
            "entries": self.entries,
            "dropped": self.dropped,
            "warnings": [each.as_json() for each in self.findings],
            "notes": self.notes,
        }
        if self.interval is not None:
            made = msgspec.to_builtins(self.interval)
            names = ("unit", "units", "samples", "seed")
            shown["interval_95"] = {k: v for k, v in made.items() if k not in names}
            shown["bootstrap"] = {key: made[key] for key in names}
        if items:
            shown["items"] = msgspec.to_builtins(self.record)
        return shown


class Result(msgspec.Struct):
    """The evaluation of one or several subsets, by name."""

    subsets: dict[str, SubsetResult]

    @property
    def average(self) -> Three:
        """cgF1, IL_MCC and pmF1: the mean over the subsets, without weights."""
        return average(each.headline for each in self.subsets.values())

    def as_json(self, *, items: bool = False) -> dict[str, Any]:
        """Plain data: `version`, `subsets`, `average`; see docs/evaluation.md."""
        return {
            "version": VERSION,
            "subsets": {k: each.as_json(items=items) for k, each in self.subsets.items()},
            "average": {"subsets": len(self.subsets), **self.average},
        }

    def __str__(self) -> str:
        from saco_data.evaluation.tables import as_text

        return as_text(self)


def average(found: Iterable[Three]) -> Three:
    """The mean over subsets without weights, of unrounded numbers."""
    rows = list(found)
    return {key: sum(each[key] for each in rows) / len(rows) for key in rows[0]}
