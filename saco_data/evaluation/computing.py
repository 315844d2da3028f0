"""Reads, checks, counts and computes one task: what `files` calls where nothing is remembered."""

from __future__ import annotations

from pathlib import Path

from saco_data.evaluation import (
    bootstrap,
    cgf1,
    counting,
    coverage,
    ground_truth,
    memory,
    predictions_file,
    remembered,
)
from saco_data.evaluation.files import Elsewhere, Options, Task
from saco_data.evaluation.findings import Finding
from saco_data.evaluation.ground_truth import GroundTruth
from saco_data.evaluation.items import Items, record_of
from saco_data.evaluation.predictions_file import Predicted
from saco_data.evaluation.results import Coverage, SubsetResult


def compute(task: Task, options: Options, elsewhere: Elsewhere | None) -> SubsetResult:
    """The result of a task. Raises PredictionError, AnnotationError, UsageError."""
    with memory.steady():
        truths, predicted = _read(task, options, elsewhere)
        ran = coverage.read_ran(task.ran_file) if task.ran_file else None
        here = coverage.here_of(truths[0], task.copy, ran)
        items = counting.items_of(truths, predicted, here, options.jobs)
        result = _result(task, options, truths, predicted, items)
        if ran is not None and task.ran_file:
            name = str(task.ran_file)
            result.notes += coverage.doubts(truths[0], ran, predicted.predicted, name)
        return result


def validate(task: Task, options: Options, elsewhere: Elsewhere | None) -> list[Finding]:
    """The warnings. Raises PredictionError with all findings."""
    with memory.steady():
        _, predicted = _read(task, options, elsewhere)
    return predicted.findings.all()


def _read(
    task: Task, options: Options, elsewhere: Elsewhere | None
) -> tuple[list[GroundTruth], Predicted]:
    truths = [_read_truth(each, options) for each in task.ground_truths]
    predicted = predictions_file.read(
        task.predictions,
        truths,
        options.iou_type,
        lenient=options.lenient,
        check=options.check,
        elsewhere=elsewhere,
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
        predicted.findings.all(),
        _notes(counts, cover, predicted),
        predicted.entries,
        predicted.dropped,
        record_of(items),
    )


def _notes(counts: cgf1.Counts, cover: Coverage, predicted: Predicted) -> list[str]:
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
