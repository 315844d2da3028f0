"""One image-NP pair or picture of a prepared copy: decoded when asked for, drawn in notebooks."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saco_data.dataset.drawing import draw_masks
from saco_data.dataset.masks import DamagedMask
from saco_data.dataset.pairs import (
    Annotation,
    Pair,
    box_of,
    decode_mask,
    decode_masks,
    name_of,
    plain,
)
from saco_data.dataset.pictures import NoPicture, open_picture
from saco_data.dataset.remote import Remote
from saco_data.model.errors import AnnotationError, Incomplete
from saco_data.storage.names import safe_join

VIEW = 640  # pixels, longest side of a picture in a notebook


@dataclass(frozen=True)
class Item:
    """An image-NP pair: a picture, a noun phrase, and a mask for each object that it names.

    `subset` is a name, `source` the annotation file, `folder` that of the pictures, `remote` where
    they are fetched from, if they are not here.
    """

    subset: str
    source: Path
    folder: Path
    pair: Pair
    annotations: list[Annotation]
    remote: Remote | None = None

    @property
    def id(self) -> int | float | str:
        """The id in the annotation file; a prediction names it as its `image_id`."""
        return self.pair.id

    @property
    def phrase(self) -> str:
        """The noun phrase as annotated: text from outside."""
        return self.pair.phrase

    @property
    def file_name(self) -> str:
        """The name of the picture in the annotation file."""
        return self.pair.file_name

    @property
    def path(self) -> Path:
        """The file of the picture. Raises UnsafeName for a name that leaves the folder.

        A picture of a bucket is fetched first; raises Incomplete where that fails.
        """
        if self.remote is not None:
            return self.remote.fetch(self.file_name)
        return safe_join(self.folder, self.file_name)

    @property
    def width(self) -> int:
        """Of the picture and its masks, in pixels."""
        return int(self.pair.width)

    @property
    def height(self) -> int:
        """Of the picture and its masks, in pixels."""
        return int(self.pair.height)

    @property
    def is_negative(self) -> bool:
        """Whether nothing in the picture is annotated for the phrase."""
        return not self.annotations

    @property
    def masks(self) -> NDArray[np.bool_]:
        """The masks, bool [n, height, width]. Raises AnnotationError where one is damaged."""
        masks = np.zeros((len(self.annotations), self.height, self.width), bool)
        for at, each in enumerate(self.annotations):
            try:
                masks[at] = decode_mask(self.pair, each)
            except DamagedMask as error:
                raise self._damaged(each, str(error)) from error
        return masks

    @property
    def boxes(self) -> NDArray[np.float64]:
        """The boxes in pixels, float64 [n, 4]: left, top, width, height.

        The annotation file has them as fractions of the picture. Raises AnnotationError where one
        is missing or damaged.
        """
        boxes = np.zeros((len(self.annotations), 4))
        for at, each in enumerate(self.annotations):
            box = box_of(each)
            if box is None:
                raise self._damaged(each, "its bbox is not four numbers")
            boxes[at] = box
        return boxes * (self.width, self.height, self.width, self.height)

    def image(self, longest: int | None = None) -> Image.Image:
        """The picture as RGB, upright; with `longest`, scaled down to so many pixels.

        Raises Incomplete where it is missing or cannot be opened.
        """
        if self.remote is not None:
            self.remote.fetch(self.file_name)
        try:
            return open_picture(self.folder, self.file_name, (self.width, self.height), longest)
        except NoPicture as error:
            raise Incomplete(
                str(error),
                item=f"{self.folder}/{plain(self.file_name)}",
                remedy=f"Run `saco prepare {self.subset}`",
            ) from error

    def sample(self) -> dict[str, Any]:
        """The item as plain data, for training.

        `image` uint8 [height, width, 3], `masks` bool [n, height, width], `boxes` float64 [n, 4] in
        pixels (left, top, width, height), `id`, `phrase`. Raises as `image` and `masks` do.
        """
        return {
            "id": self.id,
            "phrase": self.phrase,
            "image": np.array(self.image()),
            "masks": self.masks,
            "boxes": self.boxes,
        }

    def _damaged(self, annotation: Annotation, what: str) -> AnnotationError:
        return AnnotationError(
            f"annotation {name_of(annotation)} of {plain(self.file_name)}: {what}",
            item=str(self.source),
            remedy="Download the file again with `saco annotations`",
        )

    def _repr_png_(self) -> bytes:
        """The picture with its masks, for notebooks; damaged masks are left out."""
        masks, _ = decode_masks(self.pair, self.annotations)
        buffer = io.BytesIO()
        draw_masks(self.image(VIEW), masks).save(buffer, "PNG")
        return buffer.getvalue()

    def _repr_html_(self) -> str:
        """The picture with its masks and the phrase, for notebooks."""
        number = len(self.annotations)
        count = f"{number} {'mask' if number == 1 else 'masks'}" if number else "not in the picture"
        source = base64.b64encode(self._repr_png_()).decode()
        caption = html.escape(f"{plain(self.phrase)}: {count}")
        name = html.escape(f"{self.subset} {plain(self.file_name)}")
        return (
            f'<figure><img src="data:image/png;base64,{source}" alt="{caption}">'
            f"<figcaption><b>{caption}</b><br>{name}</figcaption></figure>"
        )

    def __repr__(self) -> str:
        return f"Item({self.subset!r}, id={self.id!r}, phrase={self.phrase!r})"


@dataclass(frozen=True)
class Picture:
    """A picture with all its image-NP pairs, at least one."""

    items: list[Item]

    @property
    def file_name(self) -> str:
        """The name of the picture in the annotation file."""
        return self.items[0].file_name

    @property
    def path(self) -> Path:
        """The file of the picture. Raises UnsafeName for a name that leaves the folder."""
        return self.items[0].path

    def image(self) -> Image.Image:
        """The picture as RGB, upright. Raises Incomplete where it cannot be opened."""
        return self.items[0].image()
