"""A prepared copy as Python objects: what `saco.load` returns.

`Dataset` maps names of subsets to `Subset`; a `Subset` holds `Item`s (image-NP pairs) in the order
of its annotation file and yields, from `pictures`, each `Picture` once. Masks and pixels are
decoded when they are asked for and not kept: memory does not grow with what was visited.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, overload

from saco_data.catalog.manifest import DEFAULT_COLLECTION, Manifest
from saco_data.dataset import indexed, pairs
from saco_data.dataset.indexed import Indexed
from saco_data.dataset.item import Item, Picture
from saco_data.dataset.masked_pictures import MaskedSubset
from saco_data.dataset.pairs import Pair, Pairs
from saco_data.dataset.pruned import find_partial
from saco_data.dataset.remote import Remote
from saco_data.dataset.train_videos import TrainSubset
from saco_data.dataset.videos import VideoSubset

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class SubsetFiles:
    """Where a subset is: its annotation file, and the folder that its `file_name`s are below.

    `whole`: the annotation file of the whole subset, where `annotations` holds less.
    `remote`: where the pictures come from, if they are fetched when they are needed; `images` is
    then their place in the cache.
    `pictures`, the folder of the frames of videos, is given where the masks are files too: then
    `annotations` is their folder. `videos`, the folder of whole videos, is given as well where
    these are SA-V's annotation files. `inventories`, the folder of the inventories of shards, is
    given where each picture has its own annotation file.
    """

    annotations: Path
    images: Path
    whole: Path | None = None
    pictures: Path | None = None
    videos: Path | None = None
    remote: Remote | None = None
    inventories: Path | None = None


def files_of(manifest: Manifest, annotations: Path, images: Path) -> SubsetFiles:
    """Where a subset is whose annotations and products are at these places."""
    facts = manifest.annotations
    if facts.folder and facts.pictures:
        return SubsetFiles(images / facts.folder, images, pictures=images / facts.pictures)
    if manifest.every_fourth is not None:
        return SubsetFiles(
            images / "annotations",
            images,
            pictures=images / manifest.every_fourth.folder,
            videos=images / "videos",
        )
    if (own := manifest.shard_files) is not None:
        return SubsetFiles(
            images / own.annotations,
            images / own.pictures,
            inventories=images / own.inventories,
        )
    partial = find_partial(annotations)
    return SubsetFiles(partial or annotations, images, whole=annotations if partial else None)


# Names whose kind is known to type checkers; any other name is one of the three.
PictureName = Literal[
    "bdd100k",
    "droid",
    "ego4d",
    "fathomnet",
    "food_rec",
    "geode",
    "inaturalist",
    "nga",
    "sav",
    "yt1b",
    "o365/val",
]
VideoName = Literal["sa-v/val", "sa-v/test"]
AnySubset: TypeAlias = "Subset | VideoSubset | TrainSubset | MaskedSubset"


class Dataset(Mapping[str, AnySubset]):
    """The subsets of a prepared copy by name. Nothing is read before it is needed.

    A subset of videos whose masks are files (`sa-v/val`) is a `VideoSubset`, one of SA-V's
    annotation files (`sa-v/train`) a `TrainSubset`, SA-1B (`sa1b/train`) a `MaskedSubset`, any
    other a `Subset`.
    """

    def __init__(self, subsets: Mapping[str, SubsetFiles]) -> None:
        self._subsets: dict[str, AnySubset] = {}
        for name, files in subsets.items():
            if files.inventories is not None:
                self._subsets[name] = MaskedSubset(
                    name, files.inventories, files.images, files.annotations
                )
            elif files.pictures is None:
                self._subsets[name] = Subset(name, files)
            elif files.videos is None:
                self._subsets[name] = VideoSubset(name, files.pictures, files.annotations)
            else:
                self._subsets[name] = TrainSubset(
                    name, files.annotations, files.pictures, files.videos
                )

    @overload
    def __getitem__(self, name: PictureName) -> Subset: ...
    @overload
    def __getitem__(self, name: VideoName) -> VideoSubset: ...
    @overload
    def __getitem__(self, name: Literal["sa-v/train"]) -> TrainSubset: ...
    @overload
    def __getitem__(self, name: Literal["sa1b/train"]) -> MaskedSubset: ...
    @overload
    def __getitem__(self, name: str) -> AnySubset: ...
    def __getitem__(self, name: str) -> AnySubset:
        """A subset by name, as on the command line: in any case, `silver/nga` too.

        Raises KeyError, with the nearest name, for another.
        """
        plain = str(name).lower().removeprefix(f"{DEFAULT_COLLECTION}/")
        by_lower = {each.lower(): each for each in self._subsets}
        if plain in by_lower:
            return self._subsets[by_lower[plain]]
        near = difflib.get_close_matches(plain, by_lower, 1)
        hint = f"did you mean {by_lower[near[0]]!r}?" if near else f"there are {', '.join(self)}"
        raise KeyError(f"no subset {name!r}: {hint}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._subsets)

    def __len__(self) -> int:
        return len(self._subsets)

    def __repr__(self) -> str:
        return f"Dataset({', '.join(self)})"


class Subset(Sequence["Item"]):
    """The image-NP pairs of a subset, in the order of its annotation file.

    The annotation file is read when it is first needed; of its entries only the places are kept.
    Raises AnnotationError where the file cannot be read.
    """

    def __init__(self, name: str, files: SubsetFiles) -> None:
        self.name = name
        self.files = files

    @cached_property
    def _pairs(self) -> Pairs | Indexed:
        try:
            return indexed.read(self.files.annotations)
        except indexed.Unusual:
            return pairs.read(self.files.annotations)

    def __len__(self) -> int:
        return len(self._pairs.pairs)

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        """The item at a position, or a list of items for a slice. Raises IndexError."""
        if isinstance(index, slice):
            return [self._item(pair) for pair in self._pairs.pairs[index]]
        return self._item(self._pairs.pairs[index])

    def __iter__(self) -> Iterator[Item]:
        return (self._item(pair) for pair in self._pairs.pairs)

    def pictures(self) -> Iterator[Picture]:
        """Each picture once, with all its phrases, in the order of first appearance."""
        for members in self._pairs.pictures():
            yield Picture([self._item(pair) for pair in members])

    def to_pandas(self) -> pandas.DataFrame:
        """One row an image-NP pair.

        Columns: `id`, `file_name`, `phrase`, `width` and `height` in pixels, `masks` (their
        number), `area` (sum of the annotated areas, each 0 to 1 of the picture), `is_negative`.
        """
        import pandas

        columns = ("id", "file_name", "phrase", "width", "height", "masks", "area", "is_negative")
        return pandas.DataFrame.from_records(map(self._row, self._pairs.pairs), columns=columns)

    def _item(self, pair: Pair) -> Item:
        files = self.files
        own = self._pairs.of(pair)
        return Item(self.name, files.annotations, files.images, pair, own, files.remote)

    def _row(self, pair: Pair) -> tuple[object, ...]:
        annotations = self._pairs.of(pair)
        area = sum(pairs.area_of(each) or 0.0 for each in annotations)
        size = (int(pair.width), int(pair.height))
        number = len(annotations)
        return (pair.id, pair.file_name, pair.phrase, *size, number, float(area), not number)

    def torch(self, transform: Callable[[Item], Any] | None = None) -> Samples:
        """The items as a map-style data set for `torch.utils.data.DataLoader`.

        `transform` turns an `Item` into a sample; by default `Item.sample`. Items differ in size
        and number of masks: for batches give a `transform` that makes them equal, or the loader a
        `collate_fn`. With spawned workers `transform` must be picklable.
        """
        return Samples(self, transform or Item.sample)

    def __repr__(self) -> str:
        return f"Subset({self.name!r}, {str(self.files.annotations)!r})"

    def __getstate__(self) -> dict[str, Any]:
        # Other processes read the file themselves, which is faster than to pickle its content.
        return {"name": self.name, "files": self.files}


@dataclass(frozen=True)
class Samples:
    """A data set for `torch.utils.data.DataLoader`; torch itself is not needed here."""

    subset: Subset
    transform: Callable[[Item], Any]

    def __len__(self) -> int:
        return len(self.subset)

    def __getitem__(self, index: int) -> Any:
        return self.transform(self.subset[index])
