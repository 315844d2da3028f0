"""The collections and subsets, read from `manifests/<collection>/`.

A collection is a folder of manifests with a `collection.yaml` that names it and orders its
subsets. Folders come from three places: this package, installed packages (entry point group
`saco_data.collections`), and the config (`collections: {mine: {manifests: FOLDER}}`).
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from saco_data.catalog.manifest import DEFAULT_COLLECTION, NAME, Manifest, invalid, read, read_yaml
from saco_data.model import shipped
from saco_data.model.errors import ManifestError, UsageError
from saco_data.model.suggest import suggest

FILE_NAME = "collection.yaml"
ENTRY_POINTS = "saco_data.collections"


class CollectionFacts(BaseModel):
    """The keys of `collection.yaml`. `subsets`: in the order in which they are shown."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=NAME)]
    title: str
    # The dataset of the Hugging Face Hub that holds the annotation files.
    hub_dataset: str | None = None
    subsets: tuple[str, ...]


@dataclass(frozen=True)
class Collection:
    """A named group of subsets with one output root, one kind of annotation, one evaluator."""

    facts: CollectionFacts
    manifests: tuple[Manifest, ...]

    @property
    def name(self) -> str:
        """Its name on the command line."""
        return self.facts.name

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of its subsets, in order."""
        return tuple(manifest.id for manifest in self.manifests)


class Registry:
    """All collections by name; look-ups ignore the case of names."""

    def __init__(self, collections: Iterable[Collection]) -> None:
        self.collections: dict[str, Collection] = {}
        for collection in collections:
            if collection.name in self.collections:
                raise ManifestError(
                    "two folders define a collection of this name",
                    item=collection.name,
                    remedy="Rename one of them",
                )
            self.collections[collection.name] = collection
        self._manifests = {
            manifest.id: manifest
            for collection in self.collections.values()
            for manifest in collection.manifests
        }

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all subsets: the default collection first."""
        return tuple(self._manifests)

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """All manifests, in the order of `ids`."""
        return tuple(self._manifests.values())

    def collection_of(self, manifest: Manifest) -> Collection:
        """The collection of a subset."""
        return self.collections[manifest.collection]

    def title_of(self, subsets: Iterable[str]) -> str:
        """The titles of the collections of these subsets: `SA-Co/Silver and SA-V`."""
        wanted = set(subsets)
        groups = self.collections.values()
        return " and ".join(each.facts.title for each in groups if wanted & set(each.ids))

    def find(self, name: str) -> Manifest:
        """The manifest of a subset: `nga`, `silver/nga`, `sa-v/val`. Raises UsageError."""
        ids = self.select([name])
        if len(ids) != 1 or name.lower() in self.collections:
            raise UsageError(
                f"{name!r} is a collection",
                remedy=f"Name one of its subsets: {', '.join(ids)}",
            )
        return self._manifests[ids[0]]

    def select(self, names: Iterable[str]) -> tuple[str, ...]:
        """The ids of the named subsets, without repetition.

        The name of a collection selects all its subsets, no name the default collection. Raises
        UsageError for an unknown name, with the nearest known one.
        """
        ids: dict[str, None] = {}
        for name in names:
            ids.update(dict.fromkeys(self._ids_of(name)))
        return tuple(ids) or self.collections[DEFAULT_COLLECTION].ids

    def select_or_all(self, names: Sequence[str]) -> tuple[str, ...]:
        """As `select`, but no name selects every subset."""
        return self.select(names) if names else self.ids

    def _ids_of(self, name: str) -> tuple[str, ...]:
        wanted = name.lower()
        if wanted in self._manifests:
            return (wanted,)
        by_full_name = {manifest.full_name: manifest.id for manifest in self._manifests.values()}
        if wanted in by_full_name:
            return (by_full_name[wanted],)
        if wanted in self.collections:
            return self.collections[wanted].ids
        known = [*self._manifests, *by_full_name, *self.collections]
        hint = suggest(wanted, known, cutoff=0.5)
        raise UsageError(
            f"unknown subset {name!r}",
            remedy=f"{hint}{' ' * bool(hint)}There are: {', '.join(self._manifests)}; "
            f"collections: {', '.join(self.collections)}",
        )


def read_collection(folder: Path) -> Collection:
    """The collection in a folder of manifests. Raises ManifestError."""
    path = folder / FILE_NAME
    try:
        facts = CollectionFacts.model_validate(read_yaml(path))
    except ValidationError as error:
        raise invalid(path, error, CollectionFacts) from error
    present = {file.stem for file in folder.glob("*.yaml") if file.name != FILE_NAME}
    if present != set(facts.subsets) or len(present) != len(facts.subsets):
        missing = sorted(present.symmetric_difference(facts.subsets)) or ["a name twice"]
        raise ManifestError(
            f"`subsets` and the manifests beside it differ: {', '.join(missing)}",
            item=str(path),
            remedy="Name each subset once, and give each a manifest",
        )
    manifests = (read(folder / f"{name}.yaml", facts.name) for name in facts.subsets)
    return Collection(facts, tuple(manifests))


def manifests_folder() -> Path:
    """The folder of our own manifests."""
    return shipped.find("manifests")


@functools.cache
def builtin() -> Registry:
    """The collections of this package and of installed packages. Raises ManifestError."""
    return Registry(_read_installed())


def with_folders(folders: Mapping[str, Path]) -> Registry:
    """`builtin()` and the collections in these folders, by name. Raises ManifestError."""
    if not folders:
        return builtin()
    own = []
    for name, folder in folders.items():
        collection = read_collection(folder)
        if collection.name != name:
            raise ManifestError(
                f"says that its collection is {collection.name!r}",
                item=str(folder / FILE_NAME),
                remedy=f"Call it {collection.name!r} in the config too",
            )
        own.append(collection)
    return Registry([*builtin().collections.values(), *own])


def _read_installed() -> list[Collection]:
    root = manifests_folder()
    ours = [read_collection(root / DEFAULT_COLLECTION)]
    others = (path.parent for path in sorted(root.glob(f"*/{FILE_NAME}")))
    ours += [read_collection(folder) for folder in others if folder.name != DEFAULT_COLLECTION]
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        # An entry point is a function without arguments that returns the folder.
        ours.append(read_collection(Path(entry.load()())))
    return ours
