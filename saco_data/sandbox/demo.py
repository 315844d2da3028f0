"""`saco demo`: the whole job on the miniature Silver. Nothing leaves the machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import yaml

from saco_data.config.settings import FILE_NAME, Settings, load
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.miniature import build
from saco_data.sandbox.mounts import STANDS, Ground
from saco_data.storage import files

SUBSETS = tuple(STANDS)


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[Settings]:
    """Builds the miniature Silver below `folder`, serves it, and yields the config for it.

    The folder then holds CONFIG_FRAMES.yaml, so that commands that fetch nothing work in it later.
    """
    folder = folder.absolute()
    world = build(folder / "world", SUBSETS)
    with FileServer() as server, contextlib.ExitStack() as others:
        ground = Ground(folder / "world", server, others)
        for name, stand in STANDS.items():
            stand(world.subsets[name], ground)
        keys = {
            "path_annotations": str(world.annotations),
            "silver_path": "data/silver",
            **{f"{name}_path": f"data/{name}" for name in SUBSETS},
            **ground.keys,
        }
        text = (
            "# Made by `saco demo`: a miniature SA-Co/Silver on this machine. The servers stop\n"
            "# with it: what fetches (prepare, sync) finds nobody here afterwards.\n"
        )
        files.write_if_changed(
            folder / FILE_NAME, (text + yaml.safe_dump(keys, sort_keys=False)).encode()
        )
        with variables_set(ground.environment):
            yield load(folder / FILE_NAME)


@contextlib.contextmanager
def variables_set(variables: dict[str, str]) -> Iterator[None]:
    """Variables set while the context lasts."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
