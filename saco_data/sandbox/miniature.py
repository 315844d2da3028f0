"""Builds a miniature of subsets: annotation files, and the raw media as each source holds them.

Deterministic by seed. In every subset one file (or video) is missing from the raw media, as in the
real ones; with `broken`, another one is damaged.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.recipe import MiniatureSubset
from saco_data.sandbox.recipes import recipe_of
from saco_data.storage import files


@dataclass
class Miniature:
    """The subsets that were built, by name, and the folder of their annotation files."""

    root: Path
    subsets: dict[str, MiniatureSubset]

    @property
    def annotations(self) -> Path:
        """The annotation files as downloaded."""
        return self.root / "annotations"


def build(root: Path, subsets: Iterable[str], *, seed: int = 0, broken: bool = False) -> Miniature:
    """Draws the subsets and writes their annotation files below `root`."""
    miniature = Miniature(root, {name: build_subset(name, seed, broken) for name in subsets})
    miniature.annotations.mkdir(parents=True, exist_ok=True)
    for name, subset in miniature.subsets.items():
        for file, content in recipe_of(name).annotation_files(subset).items():
            files.write_if_changed(miniature.annotations / file, content)
    return miniature


def build_subset(name: str, seed: int = 0, broken: bool = False) -> MiniatureSubset:
    """One subset, in memory. Its last raw file is missing; with `broken`, its first is damaged."""
    subset = recipe_of(name).draw(random.Random(f"{seed} {name}"))  # noqa: S311 - reproducible
    first, *_, last = subset.raw
    subset.missing = [last]
    del subset.raw[last]
    if broken:
        subset.raw[first] = _damage(subset.raw[first])
    return subset


@contextlib.contextmanager
def serve(folder: Path, subsets: Mapping[str, MiniatureSubset]) -> Iterator[Mounts]:
    """Puts the raw media of subsets into `folder` and onto servers that run while it lasts."""
    with FileServer() as server, Mounts(folder, server) as mounts:
        for name, subset in subsets.items():
            recipe_of(name).mount(subset, mounts)
        yield mounts


def _damage(content: bytes) -> bytes:
    """The first two thirds of a file with a JPEG end marker, as an interrupted copy leaves it."""
    return content[: len(content) * 2 // 3] + b"\xff\xd9"
