"""What an evaluation returns: records that are printed, kept in files and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from saco_data.evaluate import coverage
from saco_data.evaluate.bootstrap import Interval
from saco_data.evaluate.coverage import Coverage, Three, Views
from saco_data.evaluate.findings import Finding
from saco_data.evaluate.items import ItemRecord, Items
from saco_data.model.errors import UsageError

VERSION = 1
SUBSETS = 10  # a mean of fewer is not called Average


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

    def items(self) -> Items:
        """The counts of each image-NP."""
        return self.record.items()

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
        return coverage.average(each.headline for each in self.subsets.values())

    def as_json(self, *, items: bool = False) -> dict[str, Any]:
        """Plain data: `version`, `subsets`, `average`; see docs/evaluation.md."""
        return {
            "version": VERSION,
            "subsets": {k: each.as_json(items=items) for k, each in self.subsets.items()},
            "average": {"subsets": len(self.subsets), **self.average},
        }

    def __str__(self) -> str:
        from saco_data.evaluate.tables import as_text

        return as_text(self)


def read_items(path: Path, content: dict[str, Any]) -> dict[str, tuple[Items, list[str]]]:
    """The items of a result that was written with `saco eval --to`, with the ground truth's sha256.

    Raises UsageError where the file holds none.
    """
    found = {}
    try:
        for name, each in content["subsets"].items():
            record = msgspec.convert(each["items"], ItemRecord)
            sha = each["gt_sha256"]
            found[name] = (record.items(), [sha] if isinstance(sha, str) else list(sha))
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise UsageError(
            f"holds no counts of image-NPs ({error})",
            item=str(path),
            remedy="Write it with `saco eval PRED --to FILE`",
        ) from error
    return found
