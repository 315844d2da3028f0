"""How a subset's miniature is drawn and where its raw media are put: one recipe a subset.

A recipe is a class in a module of `saco_data.sandbox.recipes`, registered under its subset's name:

    @register("geode")
    class Geode(PictureRecipe):
        def draw_name(self, random_, number): ...   # names in the annotations and at the source
        def mount(self, subset, mounts): ...        # raw media into a folder or onto a server
"""

from __future__ import annotations

import json
import random
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from saco_data.catalog.registry import builtin
from saco_data.sandbox.annotation_writer import Entry, build_document
from saco_data.sandbox.encoding import encode_jpeg, encode_mp4
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.scene import HEIGHT, WIDTH, draw_scene

FILES = 6
VIDEOS = 4
FRAMES = 30


@dataclass
class MiniatureSubset:
    """One subset of the miniature, drawn."""

    name: str
    # The products that its annotations name.
    entries: list[Entry] = field(default_factory=list)
    # Bytes of each raw file, by its name at the source.
    raw: dict[str, bytes] = field(default_factory=dict)
    # Names of raw files that the annotations ask for and the source does not have.
    missing: list[str] = field(default_factory=list)
    # Name at the source, by the name in the annotations.
    raw_name: dict[str, str] = field(default_factory=dict)


class Recipe(ABC):
    """How one subset is drawn, annotated and offered."""

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def draw(self, random_: random.Random) -> MiniatureSubset:
        """The subset with all its raw files; the same for the same state of `random_`."""

    @abstractmethod
    def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
        """Puts the raw files into a folder or onto a server, and sets the config keys for it."""

    def annotation_files(self, subset: MiniatureSubset) -> dict[str, bytes]:
        """The annotation files by name; here the one file in the shape of SA-Co/Silver."""
        document = build_document(self.name, subset.entries)
        return {builtin().find(self.name).annotations.file: json.dumps(document).encode()}


class NamedRecipe(Recipe):
    """A recipe whose raw files are numbered and named one by one."""

    @abstractmethod
    def draw_name(self, random_: random.Random, number: int) -> tuple[str, str]:
        """(name in the annotations, name at the source) of file `number`, from 0."""


class PictureRecipe(NamedRecipe):
    """Pictures of 160 x 120 pixels."""

    def draw(self, random_: random.Random) -> MiniatureSubset:
        """See `Recipe.draw`."""
        subset = MiniatureSubset(self.name)
        for number in range(FILES):
            file_name, raw_name = self.draw_name(random_, number)
            scene = draw_scene(random_, 160, 120)
            subset.entries.append(Entry(file_name, scene, (160, 120)))
            subset.raw[raw_name] = encode_jpeg(scene)
            subset.raw_name[file_name] = raw_name
        return subset


class VideoRecipe(NamedRecipe):
    """Videos with three annotated frames each; one is larger than its annotated frames."""

    fps = 30

    def draw(self, random_: random.Random) -> MiniatureSubset:
        """See `Recipe.draw`."""
        subset = MiniatureSubset(self.name)
        for number in range(VIDEOS):
            video, raw_name = self.draw_name(random_, number)
            scene = draw_scene(random_, WIDTH, HEIGHT, numbered=True, frames=FRAMES)
            size = (WIDTH // 2, HEIGHT // 2) if number == 1 else (WIDTH, HEIGHT)
            stem = video.removesuffix(".mp4")
            for time in sorted(random_.sample(range(FRAMES), 3)):
                file_name = f"{stem}/{time:05d}.jpg"
                subset.entries.append(Entry(file_name, scene, size, time, video))
            subset.raw[raw_name] = encode_mp4(scene, FRAMES, fps=self.fps)
            subset.raw_name[video] = raw_name
        return subset


R = TypeVar("R", bound=type[Recipe])

registered: dict[str, Recipe] = {}


def register(*subsets: str) -> Callable[[R], R]:
    """A class decorator: the recipe serves these subsets."""

    def add(recipe: R) -> R:
        registered.update((name, recipe(name)) for name in subsets)
        return recipe

    return add


def draw_uuid(random_: random.Random) -> str:
    """A version-4 UUID."""
    return str(uuid.UUID(int=random_.getrandbits(128), version=4))
