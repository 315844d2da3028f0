"""`saco demo`: the whole job on the miniature Silver. No request leaves the machine."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from saco_data.catalog.manifest import Manifest
from saco_data.catalog.registry import Registry, builtin
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
        (folder / FILE_NAME).chmod(0o600)  # it holds keys, although only those of the miniature
        with set_variables(mounts.environment):
            yield expect_counts(load(folder / FILE_NAME), miniature.annotations)


def expect_counts(settings: Settings, annotations: Path) -> Settings:
    """The settings with the counts of the miniature's annotation files as the published ones."""
    collections = []
    for each in settings.registry.collections.values():
        manifests = tuple(_with_counts(manifest, annotations) for manifest in each.manifests)
        collections.append(replace(each, manifests=manifests))
    return replace(settings, registry=Registry(collections))


def _with_counts(manifest: Manifest, annotations: Path) -> Manifest:
    if manifest.id not in SUBSETS:
        return manifest
    content = json.loads((annotations / manifest.annotations.file).read_bytes())
    counts = {
        "image_nps": len(content["images"]),
        "masks": len(content["annotations"]),
        "files": len({image["file_name"] for image in content["images"]}),
    }
    facts = manifest.annotations.model_copy(update=counts)
    return manifest.model_copy(update={"annotations": facts})


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
