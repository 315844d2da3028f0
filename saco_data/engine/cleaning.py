"""Removes what killed runs left, in every folder that this tool writes to.

`storage.folders.sweep` knows the names, this module the folders. All functions need the lock.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from saco_data.config.settings import Settings
from saco_data.config.subset import SubsetConfig
from saco_data.executors.cluster import node_note
from saco_data.storage import folders
from saco_data.storage.folders import IDLE_SECONDS


def sweep_shared(settings: Settings) -> None:
    """Sweeps the folders that belong to no single subset. Quick: does not look below them."""
    state = settings.state
    for folder in (state, state / "logs"):
        folders.sweep(folder, below=False)
    # A run that was killed on a cluster cannot remove them.
    for path in [*(state / "shards").glob("stop.*"), node_note.path_in(state / "cluster")]:
        path.unlink(missing_ok=True)
    for root in {settings.subset(name).root for name in settings.registry.ids}:
        # `saco card`, `intersect` and `doctor` write here without the lock.
        for folder in (root, root / "card", root / "intersection"):
            folders.sweep(folder, below=False, idle_seconds=IDLE_SECONDS)
        for folder in (root / "annotations", root / "annotations_partial"):
            folders.sweep(folder, below=False)
    # `saco annotations` and `saco preview` hold no lock.
    for folder in {settings.subset(name).downloaded.parent for name in settings.registry.ids}:
        folders.sweep(folder, below=False, idle_seconds=IDLE_SECONDS)
    folders.sweep(
        settings.path(settings.keys.directory_save), below=False, idle_seconds=IDLE_SECONDS
    )


def sweep_subset(config: SubsetConfig, left: Iterable[Path] | None) -> None:
    """Sweeps the folders of one subset but that of raw media: products, the official view.

    `left`: what the plan found among the products (`planning.view`), which saves a walk of their
    many folders; None where it did not look.
    """
    folders.sweep(config.folder, below=False)
    if left is None:
        folders.sweep(config.watched)
    else:
        folders.sweep_found(left)
    if config.frames_view is not None:
        folders.sweep(config.frames_view)
    if config.manifest.shard_files is not None:
        folders.sweep(config.unpacked)


def remove_unpacked(config: SubsetConfig) -> None:
    """Removes what was unpacked of shards that were not finished, and that no run asks for now."""
    if config.manifest.shard_files is not None:
        shutil.rmtree(config.unpacked, ignore_errors=True)


def sweep_raw(config: SubsetConfig) -> None:
    """Sweeps the folder of raw media. Before the plan: a raw file that is set aside comes back."""
    folders.sweep(config.raw_folder)
