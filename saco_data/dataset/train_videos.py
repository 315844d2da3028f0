"""Videos with SA-V's annotation files, as Python objects: its train split.

Layout: `annotations/<video>_manual.json`, `annotations/<video>_auto.json`, and every fourth frame
as `<pictures>/<video>/<frame>.jpg` where the config asks for frames.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, overload

from saco_data.dataset import sav_json
from saco_data.dataset.masks import Mask
from saco_data.dataset.sav_json import Masklets
from saco_data.dataset.videos import open_frame

if TYPE_CHECKING:
    from PIL import Image

_KINDS = ("manual", "auto")


@dataclass(frozen=True)
class TrainVideo:
    """The masklets of one annotation file, and the frames of its video. Read when asked.

    `kind`: "manual" or "auto". `video`: the file of the whole video, which may not be there.
    """

    name: str
    kind: str
    annotations: Path
    pictures: Path
    video: Path

    @cached_property
    def masklets(self) -> Masklets:
        """What the annotation file says. Raises AnnotationError."""
        return sav_json.read(self.annotations)

    @property
    def frames(self) -> list[int]:
        """The numbers of the frames that are there as pictures, in order."""
        return sorted(int(path.stem) for path in self.pictures.glob("*.jpg"))

    @property
    def objects(self) -> list[int]:
        """The ids of its objects. Raises AnnotationError."""
        return list(self.masklets.objects)

    @property
    def annotated(self) -> list[int]:
        """The annotated frames, in order. Raises AnnotationError."""
        return self.masklets.frames

    def image(self, frame: int) -> Image.Image:
        """A frame as RGB. Raises KeyError where it is not there, Incomplete if it is unreadable."""
        return open_frame(self.pictures, frame)

    def masks(self, frame: int) -> dict[int, Mask]:
        """The masks of an annotated frame by object, bool [height, width]; all False if absent.

        Raises KeyError for a frame without annotations, AnnotationError for a damaged mask.
        """
        return self.masklets.masks(frame)


class TrainSubset(Sequence[TrainVideo]):
    """The annotation files of SA-V train by name: a video with two files stands here twice."""

    def __init__(self, name: str, annotations: Path, pictures: Path, videos: Path) -> None:
        self.name = name
        self.annotations = annotations
        self.pictures = pictures
        self.videos = videos

    @cached_property
    def _files(self) -> list[TrainVideo]:
        found = []
        for path in sorted(self.annotations.glob("*.json")):
            video, _, kind = path.stem.rpartition("_")
            if kind in _KINDS:
                whole = self.videos / f"{video}.mp4"
                found.append(TrainVideo(video, kind, path, self.pictures / video, whole))
        return found

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, index: int) -> TrainVideo: ...
    @overload
    def __getitem__(self, index: slice) -> list[TrainVideo]: ...
    def __getitem__(self, index: int | slice) -> TrainVideo | list[TrainVideo]:
        """The file at a position, or a list of files for a slice. Raises IndexError."""
        return self._files[index]

    def __iter__(self) -> Iterator[TrainVideo]:
        return iter(self._files)

    def __repr__(self) -> str:
        return f"TrainSubset({self.name!r}, {str(self.annotations)!r})"
