"""Videos whose frames and masks are files, as Python objects: SA-V's val and test.

Layout: `<pictures>/<video>/<frame>.jpg` and `<masks>/<video>/<object>/<frame>.png`. Only some
frames are annotated. Masks of several objects may overlap, so each has a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

import numpy as np

from saco_data.dataset import label_png
from saco_data.dataset.label_png import LabelError
from saco_data.dataset.masks import Mask
from saco_data.model.errors import AnnotationError, Incomplete

if TYPE_CHECKING:
    from PIL import Image

_PREPARE = "Run `saco verify`, then `saco prepare`"


@dataclass(frozen=True)
class Video:
    """One video: `pictures` and `masks_folder` are its own folders. Files are read when asked."""

    name: str
    pictures: Path
    masks_folder: Path

    @cached_property
    def frames(self) -> list[int]:
        """The numbers of its frames, in order."""
        return sorted(int(path.stem) for path in self.pictures.glob("*.jpg"))

    @cached_property
    def objects(self) -> list[int]:
        """The ids of its objects: the numbers of their folders."""
        return sorted(int(path.name) for path in self.masks_folder.iterdir() if path.is_dir())

    @cached_property
    def annotated(self) -> list[int]:
        """The frames that have a mask file of at least one object, in order."""
        return sorted({int(path.stem) for path in self.masks_folder.glob("*/*.png")})

    def image(self, frame: int) -> Image.Image:
        """A frame as RGB. Raises KeyError for another number, Incomplete if it is unreadable."""
        return open_frame(self.pictures, frame)

    def masks(self, frame: int) -> dict[int, Mask]:
        """The masks of an annotated frame by object, bool [height, width]; all False if absent.

        Raises KeyError for a frame without annotations, AnnotationError for a damaged file.
        """
        found = {name: self._mask(name, frame) for name in self.objects}
        there = [mask for mask in found.values() if mask is not None]
        if not there:
            raise KeyError(frame)
        empty = np.zeros_like(there[0])
        return {name: empty.copy() if mask is None else mask for name, mask in found.items()}

    def _mask(self, name: int, frame: int) -> Mask | None:
        path = self.masks_folder / f"{name:03d}" / f"{frame:05d}.png"
        if not path.is_file():
            return None
        try:
            mask: Mask = label_png.read(path) > 0
        except (OSError, LabelError) as error:
            raise AnnotationError(
                f"is not a mask ({error})", item=str(path), remedy=_PREPARE
            ) from error
        return mask


def open_frame(folder: Path, frame: int) -> Image.Image:
    """The picture `<folder>/<frame>.jpg` as RGB.

    Raises KeyError where it is not there, Incomplete where it is unreadable.
    """
    from PIL import Image

    path = folder / f"{frame:05d}.jpg"
    if not path.is_file():
        raise KeyError(frame)
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except OSError as error:
        raise Incomplete(f"cannot be opened ({error})", item=str(path), remedy=_PREPARE) from error


class VideoSubset(Sequence[Video]):
    """The videos of a subset, by name. `pictures`, `masks`: the folders of all videos."""

    def __init__(self, name: str, pictures: Path, masks: Path) -> None:
        self.name = name
        self.pictures = pictures
        self.masks = masks

    @cached_property
    def _videos(self) -> list[Video]:
        names = sorted(path.name for path in self.masks.iterdir() if path.is_dir())
        return [Video(name, self.pictures / name, self.masks / name) for name in names]

    def __len__(self) -> int:
        return len(self._videos)

    @overload
    def __getitem__(self, index: int) -> Video: ...
    @overload
    def __getitem__(self, index: slice) -> list[Video]: ...
    def __getitem__(self, index: int | slice) -> Video | list[Video]:
        """The video at a position, or a list of videos for a slice. Raises IndexError."""
        return self._videos[index]

    def __iter__(self) -> Iterator[Video]:
        return iter(self._videos)

    def __repr__(self) -> str:
        return f"VideoSubset({self.name!r}, {str(self.pictures)!r})"
