"""`saco demo`: the whole job on the miniature Silver. No request leaves the machine."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from saco_data.catalog.registry import builtin
from saco_data.config.settings import FILE_NAME, Settings, load
from saco_data.sandbox.miniature import build, serve
from saco_data.sandbox.recipes import has_recipe
from saco_data.storage import files

SUBSETS = tuple(name for name in builtin().select([]) if has_recipe(name))


@contextlib.contextmanager
def serve_miniature(folder: Path) -> Iterator[Settings]:
    """Builds the miniature Silver below `folder`, serves it, and yields the config for it.

    The folder then holds CONFIG_FRAMES.yaml, so that commands that fetch nothing work in it later.
    """
    folder = folder.absolute()
    miniature = build(folder / "miniature", SUBSETS)
    with serve(miniature.root, miniature.subsets) as mounts:
        keys = {
            "path_annotations": str(miniature.annotations),
            "silver_path": "data/silver",
            **{f"{name}_path": f"data/{name}" for name in SUBSETS},
            **mounts.keys,
        }
        text = (
            "# Made by `saco demo`: a miniature SA-Co/Silver on this machine. Its servers stop\n"
            "# with it: commands that fetch (prepare, sync) cannot reach them afterwards.\n"
        )
        files.write_if_changed(
            folder / FILE_NAME, (text + yaml.safe_dump(keys, sort_keys=False)).encode()
        )
        with set_variables(mounts.environment):
            yield load(folder / FILE_NAME)


@contextlib.contextmanager
def set_variables(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets environment variables while the context lasts."""
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
