"""Pictures with masks and no classes, as Python objects: SA-1B.

Layout: `<pictures>/sa_<number>.jpg`, `<annotations>/sa_<number>.json`, and for each shard an
inventory that names them. Of all pictures only the numbers are kept: eight bytes each.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from saco_data.dataset import sa1b_json
from saco_data.dataset.sa1b_json import Annotations, SegmentedMask
from saco_data.model.errors import AnnotationError, Incomplete
from saco_data.storage import shard_inventory
from saco_data.storage.shard_inventory import Unreadable

if TYPE_CHECKING:
    from PIL import Image

_PREPARE = "Run `saco verify`, then `saco prepare`"
_ANNOTATIONS = re.compile(r"(?:\w+/)?sa_(\d{1,12})\.json")


@dataclass(frozen=True)
class MaskedPicture:
    """One picture, `sa_<number>`, with its masks. Files are read when asked, and not kept.

    `path`: the picture, which may not be there; `annotations_path`: the file of its masks.
    """

    name: str
    path: Path
    annotations_path: Path

    def annotations(self) -> Annotations:
        """What the release says of the picture and its masks. Raises AnnotationError."""
        return sa1b_json.read(self.annotations_path)

    def masks(self) -> tuple[SegmentedMask, ...]:
        """Its masks, which may overlap; each is decoded when asked. Raises AnnotationError."""
        return self.annotations().masks

    def image(self) -> Image.Image:
        """The picture as RGB. Raises Incomplete where it is missing or unreadable."""
        from PIL import Image

        try:
            with Image.open(self.path) as picture:
                return picture.convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise Incomplete(
                f"the picture cannot be read ({error})", item=str(self.path), remedy=_PREPARE
            ) from error


class MaskedSubset(Sequence[MaskedPicture]):
    """The pictures with annotations that the inventories name, shard by shard.

    Raises AnnotationError where an inventory cannot be read.
    """

    def __init__(self, name: str, inventories: Path, pictures: Path, annotations: Path) -> None:
        self.name = name
        self.inventories = inventories
        self.pictures = pictures
        self.annotations = annotations

    @cached_property
    def _shards(self) -> list[Path]:
        return sorted(self.inventories.glob("*.jsonl"))

    @cached_property
    def _ends(self) -> list[int]:
        """How many pictures there are in each shard and those before it."""
        return list(accumulate(self._count(path) for path in self._shards))

    def _count(self, path: Path) -> int:
        try:
            return shard_inventory.read_header(path).annotations
        except (Unreadable, OSError) as error:
            raise _unreadable(path, error) from error

    @cached_property
    def _numbers(self) -> dict[int, array[int]]:
        """The numbers of the pictures of each shard that was asked for."""
        return {}

    def _numbers_of(self, shard: int) -> array[int]:
        if shard not in self._numbers:
            path = self._shards[shard]
            try:
                sound = shard_inventory.read(path).sound()
            except (Unreadable, OSError) as error:
                raise _unreadable(path, error) from error
            matches = (_ANNOTATIONS.fullmatch(each.name) for each in sound)
            self._numbers[shard] = array("q", (int(match[1]) for match in matches if match))
        return self._numbers[shard]

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> MaskedPicture: ...
    @overload
    def __getitem__(self, index: slice) -> list[MaskedPicture]: ...
    def __getitem__(self, index: int | slice) -> MaskedPicture | list[MaskedPicture]:
        """The picture at a position, or a list of them for a slice. Raises IndexError."""
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(index)
        shard = bisect_right(self._ends, at)
        before = self._ends[shard - 1] if shard else 0
        return self._picture(self._numbers_of(shard)[at - before])

    def __iter__(self) -> Iterator[MaskedPicture]:
        for shard in range(len(self._shards)):
            yield from map(self._picture, self._numbers_of(shard))

    def _picture(self, number: int) -> MaskedPicture:
        name = f"sa_{number}"
        return MaskedPicture(name, self.pictures / f"{name}.jpg", self.annotations / f"{name}.json")

    def __repr__(self) -> str:
        return f"MaskedSubset({self.name!r}, {str(self.inventories)!r})"

    def __getstate__(self) -> dict[str, Any]:
        # Other processes read the inventories themselves.
        names = ("name", "inventories", "pictures", "annotations")
        return {name: getattr(self, name) for name in names}


def _unreadable(path: Path, error: Exception) -> AnnotationError:
    return AnnotationError(f"cannot be read ({error})", item=str(path), remedy=_PREPARE)
