"""The sandbox's miniature: its subsets, and copies of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

import saco_data
from saco_data.config.settings import Settings, parse
from saco_data.engine import session
from saco_data.sandbox.demo import SUBSETS
from saco_data.sandbox.miniature import build, serve
from saco_data.sandbox.recipe import MiniatureSubset
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import config
from tests.helpers.pipeline import Notes, items

Raw = dict[str, bytes]


def build_one(folder: Path, name: str, *, seed: int = 0) -> MiniatureSubset:
    """One subset: its annotations in `folder/annotations`, its raw media in memory."""
    return build(folder, [name], seed=seed).subsets[name]


def copied_products(subset: MiniatureSubset) -> dict[str, bytes]:
    """The products of a subset whose raw files are copied, without those that are missing."""
    names = {entry.file_name: subset.raw_name[entry.file_name] for entry in subset.entries}
    return {name: subset.raw[raw] for name, raw in names.items() if raw in subset.raw}


def prepare_miniature(
    folder: Path,
    subsets: Sequence[str],
    change: Callable[[dict[str, Raw]], object] = lambda raw: None,
) -> Settings:
    """The config of a prepared copy in `folder`; `change` may change the raw files beforehand."""
    made = build(folder, subsets).subsets
    change({name: subset.raw for name, subset in made.items()})
    with serve(folder / "raw", made) as mounts:
        settings = config(folder, silver_path="silver", **mounts.keys)
        finished = session.go(settings, subsets, "prepare", Notes(), executor=InlineExecutor())
    assert finished.code == 0
    return settings


def again(folder: Path, name: str, **keys: Any) -> Settings:
    """The config of the miniature, with other folders for all that is made."""
    content = yaml.safe_load((folder / "CONFIG_FRAMES.yaml").read_text())
    content |= {f"{subset}_path": f"{name}/{subset}" for subset in SUBSETS}
    content |= {"silver_path": f"{name}/silver", "jobs": 2, **keys}
    return parse(yaml.safe_dump(content), folder / f"{name}.yaml")


def assert_equal(one: Settings, other: Settings) -> None:
    """Both copies have the same files, and the ledgers the same items with the same attempts."""
    files = {
        path.relative_to(one.silver): path.read_bytes()
        for path in one.silver.rglob("*")
        if path.is_file() and path.relative_to(one.silver).parts[0] in ("images", "frames")
    }
    assert len(files) > 50
    for name, content in files.items():
        assert (other.silver / name).read_bytes() == content, name
    for path in (one.silver / "annotations").glob("silver_*.json"):
        if not path.name.endswith(".pruned.json"):
            assert (other.silver / "annotations" / path.name).read_bytes() == path.read_bytes()
    assert saco_data.status(one).as_json() == saco_data.status(other).as_json()
    for subset in SUBSETS:
        here, there = items(one, subset), items(other, subset)
        assert {key: (item.reason, item.sha256, item.attempts) for key, item in here.items()} == {
            key: (item.reason, item.sha256, item.attempts) for key, item in there.items()
        }
