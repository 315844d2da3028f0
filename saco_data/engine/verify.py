"""Reads finished products again: there, unchanged, decoded in full, of the annotated size."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from saco_data import executors, sources
from saco_data.config.settings import Settings
from saco_data.dataset.index import read
from saco_data.engine import gone_policy
from saco_data.engine.events import Reporter
from saco_data.executors import LOST, Executor, why_lost
from saco_data.media import process
from saco_data.model.errors import Incomplete, SacoError, most_severe
from saco_data.model.reasons import Effect, Reason, State
from saco_data.model.records import Outcome, Product
from saco_data.sources import Source
from saco_data.state.ledger import Ledger
from saco_data.state.lock import Lock
from saco_data.storage.names import UnsafeName

CHECKS_A_TASK = 64
TASK_SECONDS = 600.0


def run(settings: Settings, subsets: Sequence[str], reporter: Reporter) -> int:
    """Verifies the finished products of subsets; returns the exit code for how they stand then.

    Raises LockHeld, DiskFull, OutputError.
    """
    codes = [0]
    executor = executors.make(settings)
    with Lock(settings.state), Ledger(settings.state) as ledger:
        try:
            for subset in subsets:
                try:
                    codes.append(_subset(settings, ledger, subset, executor, reporter))
                except SacoError as error:
                    reporter.note(subset, str(error))
                    codes.append(error.exit_code)
        except BaseException:
            executor.close(now=True)
            raise
        executor.close()
    return most_severe(codes)


def _subset(
    settings: Settings, ledger: Ledger, subset: str, executor: Executor, reporter: Reporter
) -> int:
    index = read(settings.pristine(subset), settings.manifest(subset))
    codes = []
    if index.sha256 != ledger.facts(subset).sha256:
        reporter.note(subset, "the annotations are not those of the last run: run `saco prepare`")
        codes.append(Incomplete.exit_code)
    products = index.products
    source = sources.get(subset, settings)
    done = ledger.items(subset, state=State.DONE)
    known = [(products[key], item.sha256) for key, item in done.items() if key in products]
    bad = 0
    for outcome in checked(settings, subset, known, executor):
        if outcome.state is not State.DONE:
            bad += 1
            reporter.note(subset, f"{outcome.key}: {outcome.detail}; prepare makes it anew")
            ledger.record([outcome])
            discard(settings, source, products[outcome.key], outcome.reason)
    reporter.note(subset, f"{len(known)} verified, {bad} bad")
    return most_severe([*codes, *gone_policy.exit_codes(settings, ledger, subset)])


def discard(settings: Settings, source: Source, product: Product, reason: Reason) -> None:
    """Removes a file that is no product, so that its name never stands for less than a whole one.

    Other names of the same file (raw, official view) go too: they are no better.
    """
    if not reason.has(Effect.DISCARD_PRODUCT):
        return
    path, view = settings.images(source.name) / product.file_name, settings.frames(source.name)
    others = []
    with contextlib.suppress(UnsafeName):
        others.append(source.raw_path(source.key_of(product)))
    if view is not None:
        others.append(view / product.file_name)
    for other in others:
        with contextlib.suppress(OSError):
            if other.samefile(path):
                other.unlink()
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def checked(
    settings: Settings,
    subset: str,
    products: Iterable[tuple[Product, str | None]],
    executor: Executor,
) -> Iterable[Outcome]:
    """Verifies product files, each with its known sha256 or None, on the executor."""
    images, view = settings.images(subset), settings.frames(subset)
    checks = [
        process.Check(subset, images / product.file_name, product, digest, view)
        for product, digest in products
    ]
    tasks = [checks[at : at + CHECKS_A_TASK] for at in range(0, len(checks), CHECKS_A_TASK)]
    futures = [executor.submit(process.check, task, seconds=TASK_SECONDS) for task in tasks]
    for task, future in zip(tasks, futures, strict=True):
        try:
            yield from future.result()
        except LOST:
            # One of them was too much; the others have nothing to do with it.
            for each in task:
                yield _alone(each, executor)


def _alone(check: process.Check, executor: Executor) -> Outcome:
    try:
        return executor.submit(process.check, [check], seconds=TASK_SECONDS).result()[0]
    except LOST as error:
        reason, detail = why_lost(error)
        return Outcome(check.subset, check.product.file_name, reason, detail)
