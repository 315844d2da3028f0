"""The files of a shard: an archive that is one item of the ledger, whose product is an inventory.

`publish` checks what was unpacked, moves it into flat folders, and writes the inventory last.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import random
import shutil
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError, Future
from dataclasses import replace
from pathlib import Path, PurePosixPath

from saco_data.catalog.manifest import ShardFiles
from saco_data.engine.checking import check_files, find_change
from saco_data.engine.subset import Subset
from saco_data.executors import Executor
from saco_data.model.errors import Incomplete
from saco_data.model.items import Item
from saco_data.model.outside import one_line
from saco_data.model.reasons import Effect, Reason, State
from saco_data.model.records import Arrival, Outcome, Product
from saco_data.sources import Context
from saco_data.storage import files, shard_inventory, untrusted_json
from saco_data.storage.inventory import Entry
from saco_data.storage.names import UnsafeName, safe_join
from saco_data.storage.shard_inventory import ShardInventory, Unreadable
from saco_data.transports.base import Failure, Stopped

_log = logging.getLogger(__name__)
_SHOWN = 5  # damaged files that are named in a message
_DETAIL = 200  # characters
# What says nothing about a file itself: the next run looks at it again.
_UNCHECKED = (Reason.WORKER_CRASHED, Reason.WORKER_TIMEOUT, Reason.PRODUCT_LOST)


def start(
    subset: Subset, arrival: Arrival, executor: Executor, stop: threading.Event
) -> Future[list[Outcome]]:
    """Publishes a shard in a thread of its own; the future is cancelled where the run is to end."""
    future: Future[list[Outcome]] = Future()

    def run() -> None:
        try:
            future.set_result([publish(subset, arrival, executor, stop)])
        except (Stopped, CancelledError):
            future.cancel()
        except BaseException as error:
            if isinstance(error, Incomplete) and stop.is_set():
                future.cancel()
            else:
                future.set_exception(error)

    threading.Thread(target=run, name=f"publish {arrival.asset.key}", daemon=True).start()
    return future


def publish(subset: Subset, arrival: Arrival, executor: Executor, stop: threading.Event) -> Outcome:
    """Checks the unpacked files of an archive, moves them to their places, writes the inventory.

    `arrival.raw`: the list of their names. What is damaged is taken out of the archive once more;
    what is damaged again is so at its source, and the inventory names it. The outcome is a failure
    where a file could not be checked; all others are used. Raises Stopped, Blocked, DiskFull,
    OutputError.
    """
    assert isinstance(arrival.raw, Path)
    (product,) = arrival.asset.products
    archive, unpacked = arrival.asset.key, arrival.raw.with_suffix("")
    names = [str(name) for name in untrusted_json.parse(arrival.raw.read_bytes())]
    checks = _Checks(subset, unpacked, executor, stop)
    checks.run(names)
    if doubtful := checks.find_doubtful():
        for name in doubtful:
            if checks.found[name].reason.has(Effect.DISCARD_PRODUCT):
                checks.paths[name].unlink(missing_ok=True)
        try:
            subset.source.read_archive(archive, Context(stop))
        except Failure as failure:
            is_failed = failure.reason.state is State.FAILED
            reason = failure.reason if is_failed else Reason.HTTP_ERROR
            return Outcome(subset.id, product.file_name, reason, failure.what, archive)
        checks.run([*doubtful, *checks.find_pictures_of(doubtful)])
    entries = [_move(checks, outcome) for outcome in checks.found.values()]
    facts = checks.facts
    inventory = shard_inventory.make(archive, product.choice, entries, facts.pictures)
    content = shard_inventory.encode(inventory)
    path = subset.config.images / product.file_name
    files.write_if_changed(path, content)
    shutil.rmtree(unpacked, ignore_errors=True)
    arrival.raw.unlink(missing_ok=True)
    _tell_damaged(subset.id, archive, inventory)
    sha256 = hashlib.sha256(content).hexdigest()
    return _conclude(Outcome(subset.id, product.file_name, Reason.OK), inventory, content, sha256)


def _conclude(outcome: Outcome, inventory: ShardInventory, content: bytes, sha256: str) -> Outcome:
    """The outcome of an inventory with this content; a failure where a file was not checked."""
    unchecked = [each for each in inventory.files.values() if each.reason in _UNCHECKED]
    if not unchecked:
        facts, origin = inventory.header.facts(), inventory.header.archive
        return replace(outcome, origin=origin, bytes=len(content), sha256=sha256, facts=facts)
    first = unchecked[0]
    detail = f"{len(unchecked)} of its files could not be checked, such as {first.name}"
    return replace(outcome, reason=Reason.of(first.reason), detail=detail)


class _Checks:
    """The checks of one shard's files. `found`: the outcome of each file by name; `paths`: where it
    was then, as another machine may work on the same shard.

    `unpacked`: the folder of those that are not under their final names yet.
    """

    def __init__(
        self, subset: Subset, unpacked: Path, executor: Executor, stop: threading.Event
    ) -> None:
        assert subset.manifest.shard_files is not None
        self.facts: ShardFiles = subset.manifest.shard_files
        self.found: dict[str, Outcome] = {}
        self.paths: dict[str, Path] = {}
        self._subset = subset
        self._unpacked = unpacked
        self._executor = executor
        self._stop = stop

    def _find(self, name: str) -> Path:
        """Where a file is: unpacked, else under its final name."""
        unpacked = safe_join(self._unpacked, name)
        path = self.paths[name] = unpacked if unpacked.exists() else self.final(name)
        return path

    def final(self, name: str) -> Path:
        """The final path of a file. Raises UnsafeName."""
        return safe_join(self._subset.config.images, name)

    def run(self, names: Iterable[str]) -> None:
        """Checks files: annotations first, because they say how large their pictures are."""
        known = dict.fromkeys(names)
        texts = [name for name in known if name.endswith(".json")]
        self._run(Product(name, 0, 0) for name in texts)
        self._run(
            Product(name, *self._size_of(name)) for name in known if not name.endswith(".json")
        )

    def _run(self, products: Iterable[Product]) -> None:
        given = ((product, None) for product in products)
        for outcome in check_files(self._subset, given, self._executor, self._find):
            if self._stop.is_set():
                raise Stopped
            self.found[outcome.key] = outcome

    def _size_of(self, picture: str) -> tuple[int, int]:
        name = f"{self.facts.annotations}/{PurePosixPath(picture).stem}.json"
        text = self.found.get(name)
        width, height = text.facts.get("picture", (0, 0)) if text else (0, 0)
        return width, height

    def find_doubtful(self) -> list[str]:
        """The names of the files that are not sound."""
        return [name for name, each in self.found.items() if each.state is not State.DONE]

    def find_pictures_of(self, names: Iterable[str]) -> list[str]:
        """The pictures whose annotations are among these files."""
        pictures = (f"{self.facts.pictures}/{PurePosixPath(name).stem}.jpg" for name in names)
        return [name for name in pictures if name in self.found]


def _move(checks: _Checks, outcome: Outcome) -> Entry:
    """The entry of a checked file, which lies under its final name now if it is sound."""
    name = outcome.key
    if outcome.state is State.DONE:
        path, final = checks.paths[name], checks.final(name)
        if path != final and not files.move_new(path, final):
            if files.sha256_of(final) != outcome.sha256:
                taken = "another file of this name is there already"
                outcome = replace(outcome, reason=Reason.WRONG_DIGEST, detail=taken)
            else:
                path.unlink(missing_ok=True)
    if outcome.state is not State.DONE:
        reason, detail = outcome.reason, one_line(outcome.detail)[:_DETAIL]
        if reason is Reason.PRODUCT_LOST and not checks.paths[name].exists():
            reason, detail = Reason.ARCHIVE_DAMAGED, "cannot be taken out of the archive"
        return Entry(name, reason.value, facts={"detail": detail})
    masks = outcome.facts.get("masks")
    facts = {} if masks is None else {"masks": masks}
    return Entry(name, Reason.OK.value, size=outcome.bytes, sha256=outcome.sha256, facts=facts)


def _tell_damaged(subset: str, archive: str, inventory: ShardInventory) -> None:
    fine = (Reason.OK, *_UNCHECKED)
    damaged = [each for each in inventory.files.values() if each.reason not in fine]
    if not damaged:
        return
    shown = "; ".join(
        f"{each.name} ({each.reason}: {each.facts.get('detail', '')})" for each in damaged[:_SHOWN]
    )
    more = f"; and {len(damaged) - _SHOWN} more" if len(damaged) > _SHOWN else ""
    _log.warning(
        "%s: %d of its %d files are damaged at the source and not used: %s%s",
        archive,
        len(damaged),
        len(inventory.files),
        shown,
        more,
        extra={"subset": subset},
    )


def check_all(
    subset: Subset,
    products: Iterable[tuple[Product, str | None]],
    executor: Executor,
    *,
    repair: bool,
) -> Iterator[Outcome]:
    """Verifies inventories, each with its known sha256 or None, and all files that they name.

    `repair`: removes damaged files, so that only these are fetched again.
    """
    for product, sha256 in products:
        found = _read(subset, product, sha256)
        if isinstance(found, Outcome):
            yield found
            continue
        inventory, outcome = found
        given = ((Product(each.name, 0, 0), each.sha256) for each in inventory.sound())
        faults = {
            each.key: each
            for each in check_files(subset, given, executor)
            if each.state is not State.DONE
        }
        yield _describe(subset, outcome, faults, repair=repair)


def find_fault(subset: Subset, item: Item, most: int | None) -> Outcome | None:
    """The outcome of a finished shard whose inventory or files changed; None if it is sound.

    `most`: compares only so many of its files, at random, with their digests. Damaged files are
    removed.
    """
    found = _read(subset, Product(item.key, 0, 0), item.sha256)
    if isinstance(found, Outcome):
        return found
    inventory, outcome = found
    entries = list(inventory.sound())
    if most is not None and len(entries) > most:
        entries = random.sample(entries, most)
    changes = (find_change(subset, each.name, each.sha256) for each in entries)
    faults = {each.key: each for each in changes if each is not None}
    described = _describe(subset, outcome, faults, repair=True)
    return None if described.state is State.DONE else described


def _read(
    subset: Subset, product: Product, sha256: str | None
) -> tuple[ShardInventory, Outcome] | Outcome:
    """The inventory that is a product, with the outcome if its files are sound; else the fault."""
    name = product.file_name
    try:
        content = (subset.config.images / name).read_bytes()
    except OSError as error:
        detail = f"cannot be read ({error.strerror})"
        return Outcome(subset.id, name, Reason.PRODUCT_LOST, detail, tried=False)
    digest = hashlib.sha256(content).hexdigest()
    detail = "the inventory changed since it was written"
    if sha256 in (None, digest):
        try:
            inventory = shard_inventory.decode(content)
            for each in inventory.files:
                safe_join(subset.config.images, each)
            if not product.contradicts(inventory.header.facts()):
                outcome = Outcome(subset.id, name, Reason.OK, tried=False)
                outcome = _conclude(outcome, inventory, content, digest)
                return (inventory, outcome) if outcome.state is State.DONE else outcome
            detail = "it is the inventory of another choice of files"
        except (Unreadable, UnsafeName) as error:
            detail = str(error)
    return Outcome(subset.id, name, Reason.WRONG_DIGEST, detail, tried=False)


def _describe(
    subset: Subset, outcome: Outcome, faults: Mapping[str, Outcome], *, repair: bool
) -> Outcome:
    """The outcome of a shard with these damaged files."""
    if not faults:
        return outcome
    if repair:
        for name, fault in faults.items():
            if fault.reason.has(Effect.DISCARD_PRODUCT):
                with contextlib.suppress(OSError):
                    (subset.config.images / name).unlink()
    first = next(iter(faults.values()))
    detail = f"{len(faults)} of its files are damaged or lost, such as {first.key}: {first.detail}"
    return Outcome(subset.id, outcome.key, Reason.WRONG_DIGEST, detail, tried=False)
