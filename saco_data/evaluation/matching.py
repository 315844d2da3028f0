"""True positives of image-NPs: IoU by pycocotools, one assignment for all thresholds by scipy.

As the official evaluator: predictions are rows, the ground truth columns, both in file order, and
the assignment maximises the sum of the IoUs. Which of two equal sums is taken depends on that.

Much work is done by forked processes. Each tells which item it is at, so that one that does not
return is named instead of waited for.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from saco_data.evaluation.assignment import linear_sum_assignment
from saco_data.evaluation.ground_truth import Shape
from saco_data.evaluation.segmentations import coco
from saco_data.model.errors import SacoError

# Ten thresholds; the ninth is 0.8999999999999999, as for the official evaluator.
THRESHOLDS: NDArray[np.float64] = np.linspace(0.5, 0.95, 10)
PATIENCE = 120.0  # seconds for one image-NP
_WORTH_FORKING = 250_000_000  # characters of RLE: two seconds of work; a fork copies their pages

Work = tuple[Any, list[Shape], list[Shape]]  # (image id, predictions, ground truth)


class DoesNotReturn(SacoError):
    """The comparison of one image-NP does not end."""


def count(work: Sequence[Work], jobs: int = 1) -> NDArray[np.int32]:
    """True positives at each threshold, int [len(work), 10]; both lists of each are not empty.

    Raises DoesNotReturn.
    """
    if not work:
        return np.zeros((0, len(THRESHOLDS)), np.int32)
    sizes = np.array([_size(each[1]) + _size(each[2]) for each in work])
    if jobs < 2 or sizes.sum() < _WORTH_FORKING or not hasattr(os, "fork"):
        return _true_positives([_scores(each) for each in work])
    return _in_processes(work, _chunks(sizes, jobs))


def _size(shapes: list[Shape]) -> int:
    return sum([len(each["counts"]) if isinstance(each, dict) else 4 for each in shapes])


def _chunks(sizes: NDArray[np.int64], jobs: int) -> list[slice]:
    """Runs of items of about equal numbers of characters."""
    ends = np.searchsorted(np.cumsum(sizes), sizes.sum() * np.arange(1, jobs + 1) / jobs) + 1
    ends = np.minimum(ends, len(sizes))
    starts = [0, *ends[:-1]]
    return [slice(int(a), int(b)) for a, b in zip(starts, ends, strict=True) if b > a]


def _scores(work: Work) -> list[float]:
    """The IoUs of the assigned pairs."""
    _, predictions, truth = work
    rows: Any = predictions
    columns: Any = truth
    if not isinstance(truth[0], dict):
        rows, columns = np.array(predictions, float), np.array(truth, float)
    ious = coco().iou(rows, columns, [0] * len(truth))
    # Where each has its best partner for itself, that is the assignment.
    fewer: list[list[float]] = (ious if len(rows) <= len(truth) else ious.T).tolist()
    best = [max(each) for each in fewer]
    if len({each.index(top) for each, top in zip(fewer, best, strict=True)}) == len(best):
        return best
    row, column = linear_sum_assignment()(-ious)
    pairs: list[float] = ious[row, column].tolist()
    return pairs


def _true_positives(scores: Sequence[list[float]]) -> NDArray[np.int32]:
    starts = np.cumsum([0, *map(len, scores[:-1])])
    reached = np.array(list(itertools.chain(*scores)))[:, None] >= THRESHOLDS
    counts: NDArray[np.int32] = np.add.reduceat(reached, starts, dtype=np.int32)
    return counts


def _in_processes(work: Sequence[Work], chunks: Sequence[slice]) -> NDArray[np.int32]:
    # Imported once, for all processes.
    coco()
    linear_sum_assignment()
    context = multiprocessing.get_context("fork")
    at = context.RawArray("q", len(chunks))  # the item that each process is at
    running: list[tuple[Any, Connection]] = []
    try:
        for number, chunk in enumerate(chunks):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(
                target=_work, args=(theirs, work, chunk, at, number), daemon=True
            )
            process.start()
            theirs.close()
            running.append((process, ours))
        return np.concatenate([_result(work, at, n, *each) for n, each in enumerate(running)])
    finally:
        for process, connection in running:
            connection.close()
            process.kill()
            process.join()


def _work(connection: Connection, work: Sequence[Work], chunk: slice, at: Any, number: int) -> None:
    scores = []
    for item in range(chunk.start, chunk.stop):
        at[number] = item
        scores.append(_scores(work[item]))
    connection.send_bytes(_true_positives(scores).tobytes())


def _result(
    work: Sequence[Work], at: Any, number: int, process: Any, connection: Connection
) -> NDArray[np.int32]:
    seen, since = at[number], time.monotonic()
    while not connection.poll(min(1.0, PATIENCE / 4)):
        if at[number] != seen:
            seen, since = at[number], time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            raise _stuck(work, seen, f"did not end within {PATIENCE:.0f} s")
    with contextlib.suppress(EOFError):
        answer = np.frombuffer(connection.recv_bytes(), np.int32)
        return answer.reshape(-1, len(THRESHOLDS))
    process.join(5)
    raise _stuck(work, at[number], f"ended its process (exit {process.exitcode})")


def _stuck(work: Sequence[Work], item: int, what: str) -> DoesNotReturn:
    return DoesNotReturn(
        f"the comparison of masks {what}",
        item=f"image id {work[item][0]!r}",
        remedy="Look at the masks of this image-NP, and report it as a bug",
    )
