"""One shard on a node: an archive is read there, its files are processed, verified and published.

The node does what a run on one machine does (`Source.read_archive`, `SubsetRun`), but writes no
ledger: it returns the outcomes. It reads links and keys from the config file by itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from saco_data.config import settings as config
from saco_data.dataset.listing import Found
from saco_data.engine.early_checks import EarlyChecks
from saco_data.engine.events import Ended, Event, Learned, Stages
from saco_data.engine.subset import Subset, bind_one
from saco_data.engine.subset_run import SubsetRun
from saco_data.executors import Executor
from saco_data.model.errors import ConfigError, Incomplete, LockHeld
from saco_data.model.items import Item
from saco_data.model.records import Outcome
from saco_data.planning import plan
from saco_data.planning.decisions import SubsetPlan
from saco_data.planning.view import gather_view
from saco_data.sources import Context
from saco_data.state.lock import Lock
from saco_data.storage import fetched

LOOK_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The config that a node reads: `images` and `state` are the folders that it must name there.

    `sha256`: of its content.
    """

    path: Path
    sha256: str
    images: Path
    state: Path


@dataclass(frozen=True, slots=True)
class Shard:
    """An archive for a node: names, no link and no key.

    `steps`: what is to be done with its files; None where it is not listed yet. `assets`: what the
    ledger knows of these. `stop_file`: exists when the run is to end. `at_once`: so many shards of
    the subset are under way at a time.
    """

    config: ConfigFile
    subset: str
    archive: str
    stop_file: Path
    at_once: int
    steps: SubsetPlan | None
    assets: Mapping[str, Item]


@dataclass(frozen=True, slots=True)
class ShardDone:
    """What a node did with a shard.

    `found`: what the archive holds, where it was not listed yet. `error`: what ended it early.
    """

    archive: str
    found: Found | None
    steps: SubsetPlan | None
    outcomes: list[Outcome]
    error: BaseException | None = None


def run(executor: Executor, stop: threading.Event, shard: Shard) -> ShardDone:
    """Carries out a shard; see `Nodes.submit_whole`. Raises what keeps an archive from being read.

    No two processes work on one shard: a node that was cut off may still be at it.
    """
    subset = _bind(shard)
    source = subset.source
    fetched.keep_own_note(subset.config.raw_folder, f"{socket.gethostname()}.{os.getpid()}")
    with _linked_to(shard.stop_file, stop) as either, _locked(shard, either):
        found, steps, checks = None, shard.steps, EarlyChecks(subset, executor)
        if steps is None:
            found = source.read_archive(shard.archive, Context(either, unpacked=checks.start))
            if source.chooses_by_content():
                # Which files are wanted is known when all archives are listed.
                return ShardDone(shard.archive, found, None, [])
            steps = _plan(subset, found)
        outcomes: list[Outcome] = []
        errors: list[BaseException] = []

        def post(event: Event) -> None:
            if isinstance(event, Learned):
                outcomes.extend(event.outcomes)
            elif isinstance(event, Ended) and event.error is not None:
                errors.append(event.error)

        SubsetRun(
            subset,
            steps,
            stages=Stages(),
            executor=executor,
            assets=shard.assets,
            checks=checks,
            post=post,
            stop=either,
            shares_folders=True,
        ).run()
        return ShardDone(shard.archive, found, steps, outcomes, errors[0] if errors else None)


def _plan(subset: Subset, found: Found) -> SubsetPlan:
    products = {
        product.file_name: product
        for name in sorted(found.names)
        for product in subset.source.products_of(name)
    }
    return plan.make(subset.id, products.values(), gather_view(subset.source, {}))


def _bind(shard: Shard) -> Subset:
    """The subset as the config file describes it to this node. Raises ConfigError.

    The node gets its share of what the source may be asked for at a time.
    """
    given = shard.config
    node = f"on node {socket.gethostname()}"
    try:
        content = given.path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"cannot be read {node} ({error.strerror})",
            item=str(given.path),
            remedy="Keep it on a disk that all nodes see",
        ) from error
    if hashlib.sha256(content).hexdigest() != given.sha256:
        raise ConfigError(
            f"has another content {node} than when the run began",
            item=str(given.path),
            remedy="Run again",
        )
    settings = config.parse(content.decode(), given.path)
    rates = settings.subset(shard.subset).rates
    limits = {
        "concurrency": 1,
        "requests_per_second": rates.requests_per_second / shard.at_once,
    }
    subset = bind_one(config.override(settings, {"limits": {shard.subset: limits}}), shard.subset)
    if (subset.config.images, settings.state) != (given.images, given.state):
        raise ConfigError(
            f"leads to other folders {node}: {subset.config.images}, {settings.state}",
            item=str(given.path),
            remedy="Write the folders of products and state without variables",
        )
    return subset


@contextlib.contextmanager
def _linked_to(file: Path, stop: threading.Event) -> Iterator[threading.Event]:
    """An event that is set when `stop` is, or when the file exists."""
    either, done = threading.Event(), threading.Event()

    def watch() -> None:
        while not done.wait(LOOK_SECONDS):
            if stop.is_set() or file.exists():
                either.set()
                return

    threading.Thread(target=watch, name="stop", daemon=True).start()
    try:
        yield either
    finally:
        done.set()


@contextlib.contextmanager
def _locked(shard: Shard, stop: threading.Event) -> Iterator[None]:
    """Waits for the lock of the shard and holds it. Raises Incomplete once `stop` is set."""
    name = f"{shard.subset}/{shard.archive}".replace("/", ".")
    with contextlib.ExitStack() as stack:
        while True:
            try:
                lock = stack.enter_context(Lock(shard.config.state / "shards" / name))
                lock.on_lost = stop.set
                break
            except LockHeld:
                if stop.wait(LOOK_SECONDS):
                    raise Incomplete(
                        "stopped before it was read",
                        item=shard.archive,
                        remedy="Run again to go on",
                    ) from None
        yield
