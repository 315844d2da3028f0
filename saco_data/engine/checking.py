"""Checks files in the worker processes, some in each task; one that ends its worker is found."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path

from saco_data.engine.subset import Subset
from saco_data.executors import LOST, Executor, why_lost
from saco_data.media import process
from saco_data.model.reasons import Reason
from saco_data.model.records import Outcome, Product
from saco_data.storage import picture_folders

_log = logging.getLogger(__name__)
CHECKS_A_TASK = 64
TASKS_A_WORKER = 3  # under way or waiting, so that no worker waits for us
TASK_SECONDS = 600.0


def check_files(
    subset: Subset,
    products: Iterable[tuple[Product, str | None]],
    executor: Executor,
    path_of: Callable[[str], Path] | None = None,
) -> Iterator[Outcome]:
    """Verifies files, each with its known sha256 or None, on the executor.

    `path_of`: the path of a file by its name; by default where products are. Products are taken,
    and tasks begun, as outcomes are taken: few wait at any time.
    """
    images, view = subset.config.images, subset.config.frames_view
    find = path_of or images.joinpath
    checks = (
        process.Check(subset.id, find(product.file_name), product, digest, view)
        for product, digest in products
    )
    running: deque[tuple[list[process.Check], Future[list[Outcome]]]] = deque()
    while True:
        while len(running) < TASKS_A_WORKER * executor.width:
            task = list(itertools.islice(checks, CHECKS_A_TASK))
            if not task:
                break
            running.append((task, executor.submit(process.check, task, seconds=TASK_SECONDS)))
        if not running:
            return
        task, future = running.popleft()
        try:
            yield from future.result()
        except LOST:
            # One of the files ended the worker: check them one by one.
            for check in task:
                yield _check_alone(check, executor)


def _check_alone(check: process.Check, executor: Executor) -> Outcome:
    try:
        return executor.submit(process.check, [check], seconds=TASK_SECONDS).result()[0]
    except LOST as error:
        reason, detail = why_lost(error)
        return Outcome(check.subset, check.product.file_name, reason, detail)


def find_change(subset: Subset, name: str, sha256: str | None) -> Outcome | None:
    """The outcome of a finished file that has another digest or is lost; None if it is sound.

    None also for one that cannot be read now: it may still be sound.
    """
    reason, detail = Reason.WRONG_DIGEST, "the file changed since it was written"
    try:
        if picture_folders.sha256_of(subset.config.images / name) == sha256:
            return None
    except (FileNotFoundError, NotADirectoryError):
        reason, detail = Reason.PRODUCT_LOST, "the file is missing"
    except OSError as error:
        _log.warning("%s cannot be read (%s)", name, error.strerror, extra={"subset": subset.id})
        return None
    return Outcome(subset.id, name, reason, detail, tried=False)
