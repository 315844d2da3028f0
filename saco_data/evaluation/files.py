"""Evaluates prediction files against ground truth files: what the command and the API call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from saco_data.evaluation import remembered
from saco_data.evaluation.findings import Finding
from saco_data.evaluation.results import SAMPLES, SEED, Result, SubsetResult
from saco_data.model.errors import UsageError

# Which subsets have these image ids: for those that the ground truth does not have.
Elsewhere = Callable[[list[Any]], str]
IOU_TYPES = ("segm", "bbox")
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
        beside = self.predictions.parent / (self.predictions.name + RAN)
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
    samples: int = SAMPLES
    seed: int = SEED
    jobs: int = 1
    remember: bool = True

    def __post_init__(self) -> None:
        """Raises UsageError for a value that does not fit."""
        if self.iou_type not in IOU_TYPES:
            raise UsageError(
                f"iou: {self.iou_type!r} does not fit", remedy=f"Give one of {', '.join(IOU_TYPES)}"
            )
        if not 0 <= self.seed < 2**63:
            raise UsageError(
                f"seed: {self.seed} does not fit", remedy="Give a whole number from 0 to 2**63 - 1"
            )


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
    from saco_data.evaluation import computing

    result = computing.compute(task, options, elsewhere)
    if key:
        remembered.keep_result(key, result)
    return result


def check_one(task: Task, options: Options, elsewhere: Elsewhere | None = None) -> list[Finding]:
    """Only validates: the warnings. Raises PredictionError with all findings."""
    from saco_data.evaluation import computing

    return computing.validate(task, options, elsewhere)


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
