"""Subsets of the sandbox's miniature."""

from __future__ import annotations

from pathlib import Path

from saco_data.sandbox.miniature import build
from saco_data.sandbox.recipe import MiniatureSubset


def build_one(folder: Path, name: str, *, seed: int = 0) -> MiniatureSubset:
    """One subset: its annotations in `folder/annotations`, its raw media in memory."""
    return build(folder, [name], seed=seed).subsets[name]


def copied_products(subset: MiniatureSubset) -> dict[str, bytes]:
    """The products of a subset whose raw files are copied, without those that are missing."""
    names = {entry.file_name: subset.raw_name[entry.file_name] for entry in subset.entries}
    return {name: subset.raw[raw] for name, raw in names.items() if raw in subset.raw}
