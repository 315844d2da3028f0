"""Verifies finished products: file there, digest unchanged, decodes fully, annotated size."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

from saco_data import executors
from saco_data.config.settings import Settings
from saco_data.engine import gone_policy, partial_copy, published, shard_files
from saco_data.engine.checking import check_files
from saco_data.engine.events import Reporter
from saco_data.engine.subset import Subset, bind
from saco_data.executors import Executor
from saco_data.model.errors import Incomplete, SacoError, most_severe
from saco_data.model.items import Item
from saco_data.model.reasons import Effect, Reason, State
from saco_data.model.records import Outcome, Product
from saco_data.state.ledger import Ledger
from saco_data.state.lock import Lock
from saco_data.storage import picture_folders
from saco_data.storage.names import safe_join


def run(settings: Settings, names: Sequence[str], reporter: Reporter) -> int:
    """Verifies the finished products of subsets; returns the exit code for their state afterwards.

    Raises LockHeld, DiskFull, OutputError.
    """
    with Lock(settings.state), Ledger(settings.state) as ledger:
        codes = _for_each(settings, names, ledger, reporter, _verify)
        partial_copy.complete_folders(settings, ledger, bind(settings, names))
    return most_severe(codes)


def check(settings: Settings, names: Sequence[str], reporter: Reporter) -> int:
    """As `run`, but writes nothing and needs no lock: for a copy that belongs to somebody else.

    Incomplete's exit code where a file is damaged, which its owner must repair.
    """
    with Ledger(settings.state, read_only=True) as ledger:
        return most_severe(_for_each(settings, names, ledger, reporter, _check))


def _for_each(
    settings: Settings,
    names: Sequence[str],
    ledger: Ledger,
    reporter: Reporter,
    work: Callable[[Subset, Ledger, Executor, Reporter], list[int]],
) -> list[int]:
    """The exit codes of `work` for each subset; an error in one is told, and the next one begun."""
    codes = [0]
    with executors.running(settings) as executor:
        for subset in bind(settings, names):
            try:
                codes += work(subset, ledger, executor, reporter)
            except SacoError as error:
                reporter.note(subset.id, str(error))
                codes.append(error.exit_code)
    return codes


def _check(subset: Subset, ledger: Ledger, executor: Executor, reporter: Reporter) -> list[int]:
    products = subset.read_index().products
    done = ledger.items(subset.id, state=State.DONE)
    known = [(products[key], item.sha256) for key, item in done.items() if key in products]
    damaged = 0
    for outcome in check_all(subset, known, executor, repair=False):
        if outcome.state is not State.DONE:
            damaged += 1
            what = f"{outcome.key}: {outcome.detail}; `saco prepare` of its owner repairs it"
            reporter.note(subset.id, what)
    reporter.note(subset.id, f"{len(known)} verified, {damaged} damaged, nothing written")
    codes = gone_policy.exit_codes(subset, ledger.snapshot(subset.id))
    return [*codes, *([Incomplete.exit_code] if damaged else [])]


def _verify(subset: Subset, ledger: Ledger, executor: Executor, reporter: Reporter) -> list[int]:
    index = subset.read_index()
    codes = []
    if index.sha256 != ledger.facts(subset.id).sha256:
        what = "the annotations are not those of the last run: run `saco prepare`"
        reporter.note(subset.id, what)
        codes.append(Incomplete.exit_code)
    products = index.products
    done = ledger.items(subset.id, state=State.DONE)
    there = [item for key, item in done.items() if key in products and _is_remote(subset, key)]
    remote = {item.key for item in there}
    known = [
        (products[key], item.sha256)
        for key, item in done.items()
        if key in products and key not in remote
    ]
    damaged = 0
    for outcome in itertools.chain(
        check_all(subset, known, executor), _check_published(subset, there)
    ):
        if outcome.state is not State.DONE:
            damaged += 1
            reporter.note(subset.id, f"{outcome.key}: {outcome.detail}; `saco prepare` repairs it")
            ledger.record([outcome])
            discard(subset, products[outcome.key], outcome.reason)
    reporter.note(subset.id, f"{len(known) + len(there)} verified, {damaged} damaged")
    snapshot = ledger.snapshot(subset.id)
    if damaged and snapshot.facts.derived_from == index.sha256:
        gone = gone_policy.find_removable(subset, snapshot)
        partial_copy.update(subset, index, ledger, snapshot.facts, gone)
        ledger.set_facts(subset.id, snapshot.facts)
        if note := partial_copy.describe(subset, snapshot.facts):
            reporter.note(subset.id, note)
    return [*codes, *gone_policy.exit_codes(subset, snapshot)]


def _is_remote(subset: Subset, name: str) -> bool:
    """Whether a finished product is only in the bucket."""
    return bool(subset.config.bucket) and not safe_join(subset.config.images, name).exists()


def _check_published(subset: Subset, items: Sequence[Item]) -> Iterator[Outcome]:
    """The outcomes of published products that are damaged or lost: from one listing."""
    if items:
        objects = published.Objects(subset, listed=True)
        yield from filter(None, map(objects.find_fault, items))


def discard(subset: Subset, product: Product, reason: Reason) -> None:
    """Deletes a finished file if the reason proves it unusable, and its name in the official view.

    A raw file is not touched, although it may be the same file (`files.link_or_copy`).
    """
    if not reason.has(Effect.DISCARD_PRODUCT):
        return
    path, view = subset.config.images / product.file_name, subset.config.frames_view
    if view is not None:
        other = view / product.file_name
        with contextlib.suppress(OSError):
            if other.samefile(path):
                other.unlink()
    with contextlib.suppress(OSError):
        picture_folders.remove(path)


def check_all(
    subset: Subset,
    products: Iterable[tuple[Product, str | None]],
    executor: Executor,
    *,
    repair: bool = True,
) -> Iterator[Outcome]:
    """Verifies products, each with its known sha256 or None, on the executor.

    `repair`: damaged files of a shard are removed, so that only these are fetched again.
    """
    if subset.manifest.shard_files is not None:
        return shard_files.check_all(subset, products, executor, repair=repair)
    return check_files(subset, products, executor)
