"""Evaluates prediction files against ground truth files: what the command and the API call."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saco_data.evaluate import (
    bootstrap,
    cgf1,
    counting,
    coverage,
    ground_truth,
    predictions_file,
    remembered,
)
from saco_data.evaluate.findings import Finding
from saco_data.evaluate.ground_truth import GroundTruth
from saco_data.evaluate.items import ItemRecord, Items
from saco_data.evaluate.predictions_file import Predicted
from saco_data.evaluate.results import Result, SubsetResult

# Which subsets have these image ids: for those that the ground truth does not have.
Elsewhere = Callable[[list[Any]], str]
RAN = ".ran.json"  # what `Predictions` writes beside a file: the ids that the model ran on


@dataclass(frozen=True)
class Task:
    """What to evaluate. One ground truth, or several annotators' (Gold).

    `copy`: the annotation file with only what this copy holds, where that is less than the ground
    truth; `published`: the official number of evaluated image-NPs; `ran`: a file of the ids that
    the model ran on.
    """

    name: str
    predictions: Path
    ground_truths: tuple[Path, ...]
    copy: Path | None = None
    published: int | None = None
    ran: Path | None = None

    @property
    def ran_file(self) -> Path | None:
        """The file of ids that the model ran on: the one that is named, or the one beside."""
        beside = self.predictions.with_name(self.predictions.name + RAN)
        return self.ran or (beside if beside.is_file() else None)


@dataclass(frozen=True)
class Options:
    """How to evaluate.

    `iou_type`: "segm" or "bbox"; `lenient`: drop entries that cannot be counted; `partial`: show
    the numbers on what is here first; `check`: look at the runs of every mask (leave it out only
    for files that are known to be whole); `samples`: of the bootstrap, 0 for none; `jobs`:
    processes; `remember`: keep results in the user's cache folder.
    """

    iou_type: str = "segm"
    lenient: bool = False
    partial: bool = False
    check: bool = True
    samples: int = bootstrap.SAMPLES
    seed: int = bootstrap.SEED
    jobs: int = 1
    remember: bool = True


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def evaluate_files(
    tasks: Sequence[Task], options: Options | None = None, elsewhere: Elsewhere | None = None
) -> Result:
    """Evaluates each task. Raises PredictionError, AnnotationError, UsageError."""
    options = options or Options()
    return Result({each.name: evaluate_one(each, options, elsewhere) for each in tasks})


def evaluate_one(task: Task, options: Options, elsewhere: Elsewhere | None = None) -> SubsetResult:
    """Evaluates one task, or returns what is remembered of the same files and options."""
    key = _key(task, options) if options.remember else ""
    if key and (known := remembered.result(key)):
        return known
    truths, predicted = _read(task, options)
    ran = coverage.read_ran(task.ran_file) if task.ran_file else None
    here = coverage.here_of(truths[0], task.copy, ran)
    items = counting.items_of(truths, predicted, here, options.jobs)
    result = _result(task, options, truths, predicted, items, elsewhere)
    if key:
        remembered.keep_result(key, result)
    return result


def check_one(task: Task, options: Options, elsewhere: Elsewhere | None = None) -> list[Finding]:
    """Only validates: the warnings. Raises PredictionError with all findings."""
    _, predicted = _read(task, options)
    return _findings(predicted, elsewhere)


def _key(task: Task, options: Options) -> str:
    named = [task.predictions, *task.ground_truths]
    named += [each for each in (task.copy, task.ran_file) if each]
    stamps = [remembered.stamp(each) for each in named]
    if not all(stamps):
        return ""
    chosen = [getattr(options, name) for name in ("iou_type", "lenient", "partial", "check")]
    kinds = [bool(task.copy), bool(task.ran_file), len(task.ground_truths)]
    return remembered.key_of(
        task.name, stamps, kinds, chosen, task.published, options.samples, options.seed
    )


def _read(task: Task, options: Options) -> tuple[list[GroundTruth], Predicted]:
    truths = [_read_truth(each, options) for each in task.ground_truths]
    predicted = predictions_file.read(
        task.predictions,
        truths,
        options.iou_type,
        lenient=options.lenient,
        check=options.check,
    )
    return truths, predicted


def _read_truth(path: Path, options: Options) -> GroundTruth:
    sha = remembered.sha256_of(path) if options.remember else ""
    known = not options.check or remembered.is_checked(sha, options.iou_type)
    truth = ground_truth.read(path, options.iou_type, is_checked=known, sha=sha)
    if options.remember and not sha:
        remembered.keep_sha256(path, truth.sha256)
    if options.remember and not known:
        remembered.keep_checked(truth.sha256, options.iou_type)
    return truth


def _result(
    task: Task,
    options: Options,
    truths: list[GroundTruth],
    predicted: Predicted,
    items: Items,
    elsewhere: Elsewhere | None,
) -> SubsetResult:
    counts = cgf1.count(items)
    found = cgf1.numbers(counts)
    views = coverage.views(items)
    on_here = options.partial and views is not None
    shown = items.those_here() if on_here else items
    headline = cgf1.headline(cgf1.count(shown))
    interval = None
    if options.samples and shown.evaluated:
        interval = bootstrap.interval(shown, options.samples, options.seed)
    cover = coverage.of(items, len(predicted.predicted), task.published)
    return SubsetResult(
        task.name,
        str(task.predictions),
        [str(each) for each in task.ground_truths],
        [each.sha256 for each in truths],
        options.iou_type,
        cgf1.official(found, options.iou_type),
        headline,
        "here" if on_here else "official",
        counts.as_json(),
        cover,
        views,
        interval,
        _findings(predicted, elsewhere),
        _notes(counts, cover, predicted),
        predicted.entries,
        predicted.dropped,
        ItemRecord.of(items),
    )


def _findings(predicted: Predicted, elsewhere: Elsewhere | None) -> list[Finding]:
    unknown = predicted.findings.get("unknown_image")
    if unknown is not None and elsewhere is not None:
        unknown.note = elsewhere([image for _, image in unknown.first])
    return predicted.findings.all()


def _notes(counts: cgf1.Counts, cover: coverage.Coverage, predicted: Predicted) -> list[str]:
    """What a reader must know to read the numbers right."""
    notes = []
    whole = cover.image_nps[1]
    if cover.published is not None and cover.published != whole:
        notes.append(
            f"the ground truth has {whole:,} evaluated image-NPs, published are "
            f"{cover.published:,}: it was pruned or is damaged, the numbers are not comparable"
        )
    if not counts.il_fp + counts.il_tn:
        notes.append(
            "there are no negatives: the official rule makes IL_MCC and cgF1 0, whatever is "
            "predicted; see pmF1"
        )
    elif counts.il_fp and not counts.il_tn + counts.il_fn:
        notes.append("something is predicted everywhere: the official rule makes IL_MCC and cgF1 0")
    if predicted.dropped:
        notes.append(f"{predicted.dropped:,} entries were dropped (--lenient)")
    return notes
