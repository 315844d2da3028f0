"""Gives whole archives of one subset to the nodes of a cluster.

Their bytes never pass this machine. It hands out as many at a time as the source allows, and takes
what the nodes return: what an archive holds, and the outcomes of its files.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, wait
from dataclasses import replace

from saco_data.config import settings as config
from saco_data.dataset import listing
from saco_data.engine import cleaning, shard
from saco_data.engine.events import Event, Learned, Listed, Stages
from saco_data.engine.shard import LOOK_SECONDS, ConfigFile, Shard, ShardDone
from saco_data.engine.subset import Subset
from saco_data.executors import Executor, NodeLost, Nodes
from saco_data.model.errors import Blocked, DiskFull, Incomplete, OutputError, SacoError
from saco_data.model.items import Item
from saco_data.model.reasons import State
from saco_data.model.records import Asset
from saco_data.planning.decisions import Decision, Step, SubsetPlan

# Errors that the next archive would meet too.
_OF_ALL = (Blocked, DiskFull, OutputError)


class ShardRoad:
    """The archives of one subset, for nodes. `post`: see `SubsetRun`; `stop` ends it early.

    `tried`: products that failed in this run, which are not due again in it. `error`: what kept
    archives from being listed, while others could be.
    """

    def __init__(
        self,
        subset: Subset,
        nodes: Nodes,
        file: ConfigFile,
        *,
        post: Callable[[Event], None],
        stop: threading.Event,
    ) -> None:
        self.subset = subset
        self.tried: set[str] = set()
        self.error: BaseException | None = None
        self._answered: set[str] = set()
        self._nodes = nodes
        self._file = file
        self._post = post
        self._stop = stop
        self._stop_file = file.state / "shards" / f"stop.{secrets.token_hex(8)}"
        self._at_once = max(1, min(nodes.width, subset.config.archives_at_once))

    def write_listing(self) -> list[str]:
        """Has the nodes read all archives that are not listed; returns the names of these.

        What they make of the files is posted. Raises as `Source.write_listing` does where nothing
        at all is listed; otherwise `error` keeps it.
        """
        source, pristine = self.subset.source, self.subset.config.pristine
        missing = source.unlisted()
        if not missing:
            return []
        cleaning.sweep_subset(self.subset.config, None)
        cleaning.sweep_raw(self.subset.config)
        read: list[str] = []

        def take(done: ShardDone) -> None:
            assert done.found is not None
            listing.add(pristine, done.archive, done.found)
            read.append(done.archive)
            if done.steps is not None:
                self._post(Listed(self.subset.id, done.steps))
            self._take(done)

        self.error = self._carry_out([self._shard(each, None, {}) for each in missing], take)
        if self.error is not None and not pristine.exists():
            raise self.error
        return read

    def fetch(self, assets: Sequence[Asset], plan: SubsetPlan, known: Mapping[str, Item]) -> None:
        """Has the nodes fetch and process assets of listed archives; their outcomes are posted.

        Raises what ended it early.
        """
        grouped = self.subset.source.group_by_archive(assets)
        shards = []
        for archive, members in grouped.items():
            names = {product.file_name for asset in members for product in asset.products}
            steps = SubsetPlan(
                plan.subset,
                [Step(Decision.FETCH, asset) for asset in members],
                digests={name: plan.digests[name] for name in names & plan.digests.keys()},
                unverified=names & plan.unverified,
                renewed={name: plan.renewed[name] for name in names & plan.renewed.keys()},
            )
            facts = {asset.key: known[asset.key] for asset in members if asset.key in known}
            shards.append(self._shard(archive, steps, facts))
        try:
            if error := self._carry_out(shards, self._take):
                raise error
        finally:
            cleaning.sweep_subset(self.subset.config, None)
            cleaning.sweep_raw(self.subset.config)

    def find_unanswered(self, assets: Iterable[Asset]) -> list[Asset]:
        """The assets of which no node said anything."""
        return [
            asset
            for asset in assets
            if not any(each.file_name in self._answered for each in asset.products)
        ]

    def _shard(self, archive: str, steps: SubsetPlan | None, assets: Mapping[str, Item]) -> Shard:
        return Shard(
            self._file, self.subset.id, archive, self._stop_file, self._at_once, steps, assets
        )

    def _take(self, done: ShardDone) -> None:
        self.tried |= {
            each.key for each in done.outcomes if each.tried and each.state is not State.DONE
        }
        self._answered |= {each.key for each in done.outcomes}
        if done.outcomes:
            self._post(Learned(self.subset.id, done.outcomes))

    def _carry_out(
        self, shards: Iterable[Shard], take: Callable[[ShardDone], None]
    ) -> BaseException | None:
        """Hands out shards, takes what comes back; returns the first error, after all have ended.

        An error that concerns all archives ends the handing out.
        """
        waiting = [*shards]
        running: dict[Future[ShardDone], Shard] = {}
        errors: list[BaseException] = []
        while running or waiting:
            if self._stop.is_set():
                self._tell_to_stop()
            if self._stop.is_set() or any(isinstance(each, _OF_ALL) for each in errors):
                waiting.clear()
            try:
                while waiting and len(running) < self._at_once:
                    next_one = waiting.pop(0)
                    running[self._submit(next_one)] = next_one
            except SacoError as error:
                errors.append(error)
                waiting.clear()
            for future in wait(running, LOOK_SECONDS, FIRST_COMPLETED).done:
                try:
                    done = _result_of(future, running.pop(future))
                    take(done)
                    errors += [done.error] if done.error else []
                except CancelledError:
                    waiting.clear()
                except Exception as error:
                    errors.append(error)
        self._stop_file.unlink(missing_ok=True)
        # What concerns all archives is the thing to tell.
        return min(errors, key=lambda each: not isinstance(each, _OF_ALL), default=None)

    def _tell_to_stop(self) -> None:
        """Nodes end soon once they see this file."""
        with contextlib.suppress(OSError):
            self._stop_file.parent.mkdir(parents=True, exist_ok=True)
            self._stop_file.touch()

    def _submit(self, each: Shard) -> Future[ShardDone]:
        label = f"{each.subset} {each.archive}"
        return self._nodes.submit_whole(shard.run, each, label=label)


def find_road(
    subset: Subset,
    executor: Executor,
    stages: Stages,
    *,
    post: Callable[[Event], None],
    stop: threading.Event,
) -> ShardRoad | None:
    """The shard road of a subset; None where its files are to be fetched by this process.

    So it is on one machine, for a source without archives, and where the settings of this run are
    not those of a config file that a node could read.
    """
    if not (isinstance(executor, Nodes) and stages == Stages() and subset.source.is_sharded):
        return None
    settings = subset.config.settings
    if settings.file is None:
        return None
    try:
        content = settings.file.read_bytes()
        read = config.parse(content.decode(), settings.file)
    except (OSError, ValueError, SacoError):
        return None
    same = replace(read, keys=read.keys.model_copy(update={"jobs": settings.keys.jobs}))
    is_same = (same.keys, same.by_subset, same.places) == (
        settings.keys,
        settings.by_subset,
        settings.places,
    )
    if not is_same or same.subset(subset.id).manifest != subset.manifest:
        return None
    file = ConfigFile(
        settings.file,
        hashlib.sha256(content).hexdigest(),
        subset.config.images,
        settings.state,
    )
    return ShardRoad(subset, executor, file, post=post, stop=stop)


def _result_of(future: Future[ShardDone], each: Shard) -> ShardDone:
    """What a node returned. Raises Incomplete where none could finish the shard."""
    try:
        return future.result()
    except NodeLost as error:
        raise Incomplete(
            f"no node could finish it ({error})", item=each.archive, remedy="Run again"
        ) from error
