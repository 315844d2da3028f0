"""Checks raw files of one subset while the archive that holds them is still being read.

The results are only kept in memory: after a kill, the files are checked when products are made.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future

from saco_data.engine.subset import Subset
from saco_data.executors import LOST, Executor
from saco_data.media import content
from saco_data.media.content import Inspected

SECONDS = 120.0


class EarlyChecks:
    """Checks files in the processes of an executor, a bounded number at a time."""

    def __init__(self, subset: Subset, executor: Executor) -> None:
        self._source = subset.source
        self._executor = executor
        self._slots = threading.Semaphore(2 * executor.width + 2)
        self._found: dict[str, Future[Inspected | None]] = {}

    def start(self, key: str) -> None:
        """Starts to check the raw file of an asset that becomes a product as it is.

        Waits while many wait already. Raises SacoError where no worker can start.
        """
        products = [each for each in self._source.products_of(key) if not each.is_folder]
        if not products:
            return
        self._slots.acquire()
        try:
            path, name = self._source.raw_path(key), products[0].file_name
            future = self._executor.submit(content.inspect, path, name, seconds=SECONDS)
        except BaseException:
            self._slots.release()
            raise
        self._found[key] = future
        future.add_done_callback(lambda _: self._slots.release())

    def take(self, key: str) -> Inspected | None:
        """What was found in the raw file of an asset; None unless it was found to be sound.

        Waits for a check that is under way.
        """
        future = self._found.pop(key, None)
        if future is None or future.cancelled():
            return None
        try:
            return future.result()
        except LOST:
            return None  # seen again when the product is made
