"""Whether a store keeps what publishing relies on: create once, replace only what is known."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable

from saco_data.model.errors import OutputError
from saco_data.storage.store import Changed, Exists, Store

FOLDER = ".saco/probe"


def require_conditions(store: Store) -> None:
    """Tries conditional writes on an object of its own, which it deletes again.

    Raises OutputError for a store that ignores them: two writers would overwrite each other there.
    """
    name = f"{FOLDER}/{os.urandom(8).hex()}"
    first = store.put(name, b"first", only_new=True)
    try:
        if not _is_refused(lambda: store.put(name, b"again", only_new=True)):
            raise _error(store, "it overwrites an object that was to be created")
        second = store.replace(name, b"second", first)
        if not _is_refused(lambda: store.replace(name, b"stale", first)):
            raise _error(store, "it replaces an object that another writer has changed")
        if store.read(name) != b"second" or store.stat(name) != second:
            raise _error(store, "it does not give back what was written")
    finally:
        with contextlib.suppress(OutputError):
            store.delete([name])


def _is_refused(write: Callable[[], object]) -> bool:
    try:
        write()
    except (Exists, Changed):
        return True
    return False


def _error(store: Store, what: str) -> OutputError:
    return OutputError(
        f"this store has no conditional writes: {what}",
        item=store.place,
        remedy="Use a bucket that has them (S3 and Google Cloud Storage do), or a folder",
    )
