"""A run whose prepared files go to a bucket: what is there counts, what was made is published.

Products are made in a local folder, published when the run has ended, and removed here once the
inventory that names them is written. Our copy of the inventory then stands for them.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from saco_data.config.settings import Settings
from saco_data.engine import freshness, published
from saco_data.engine.events import Reporter, Result
from saco_data.engine.publish import publish
from saco_data.engine.subset import Subset
from saco_data.model.errors import SacoError, most_severe
from saco_data.model.reasons import Reason
from saco_data.state.lease import Lease
from saco_data.state.ledger import Ledger
from saco_data.storage import files, inventory
from saco_data.storage.inventory import Inventory
from saco_data.storage.names import safe_join
from saco_data.storage.probe import require_conditions
from saco_data.storage.store import Store, open_store

_log = logging.getLogger(__name__)


class Bucket:
    """The bucket of a run, whose lease it holds."""

    def __init__(self, store: Store, lease: Lease) -> None:
        self.store = store
        self.lease = lease

    def refresh(self, ledger: Ledger, subsets: Iterable[Subset]) -> None:
        """Brings ledger and our copies of inventories to what the bucket holds of subsets.

        So a second machine, or one that lost its ledger, goes on from there.
        """
        for subset in subsets:
            if not subset.config.bucket:
                continue
            found = inventory.read(self.store, subset.id)
            _keep_copy(subset, found[0] if found else None)
            published.rebuild(ledger, self.store, subset.id)
        ledger.commit()

    def publish(
        self,
        ledger: Ledger,
        subsets: Iterable[Subset],
        results: Mapping[str, Result],
        to: Reporter,
        stop: threading.Event,
    ) -> None:
        """Publishes what is finished of subsets, unless `stop` is set.

        An error becomes that of the subset's result.
        """
        for subset in subsets:
            if stop.is_set():
                return
            if not subset.config.bucket or not ledger.facts(subset.id).files:
                continue
            try:
                self._publish_one(ledger, subset, to, stop)
            except SacoError as error:
                result = results[subset.id]
                result.error = result.error or error
                result.code = most_severe([result.code, error.exit_code])
                to.note(subset.id, str(error))

    def _publish_one(
        self, ledger: Ledger, subset: Subset, to: Reporter, stop: threading.Event
    ) -> None:
        done = publish(subset, ledger, self.store, stop)
        assert done.inventory is not None
        _keep_copy(subset, done.inventory)
        _remove_local(subset, done.inventory)
        for name, why in done.skipped.items():
            to.note(subset.id, f"{name} is not published: it {why}")
        if done.put:
            to.note(subset.id, f"{done.put} files published at {self.store.place}")
        facts = ledger.facts(subset.id)
        if facts.ended:
            # The folder of products is empty now.
            facts.ended = freshness.describe_end(subset, subset.annotations_stamp())
            ledger.set_facts(subset.id, facts)
            ledger.commit()


@contextlib.contextmanager
def open_bucket(settings: Settings, on_lost: Callable[[], None]) -> Iterator[Bucket | None]:
    """The bucket that the config names, held by a lease; None where outputs go to a folder.

    `on_lost`: called when another run has taken the lease. Raises LockHeld, and OutputError for a
    bucket that cannot be written to safely.
    """
    if not settings.bucket:
        yield None
        return
    store = open_store(settings.bucket)
    require_conditions(store)
    lease = Lease(store)
    lease.on_lost = on_lost
    with lease:
        yield Bucket(store, lease)


def _keep_copy(subset: Subset, found: Inventory | None) -> None:
    path = subset.config.published
    if found is None:
        path.unlink(missing_ok=True)
    else:
        files.write_if_changed(path, inventory.encode(found))


def _remove_local(subset: Subset, found: Inventory) -> None:
    """Removes products here that the inventory names as finished: the bucket has them."""
    for name, entry in found.entries.items():
        if entry.reason == Reason.OK:
            try:
                safe_join(subset.config.images, name).unlink(missing_ok=True)
            except OSError as error:
                _log.warning("%s: cannot be removed here (%s)", name, error.strerror)
