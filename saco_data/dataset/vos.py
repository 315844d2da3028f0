"""The VOS layout, as SAM 2, Cutie and their like open it, made from videos with masks.

    JPEGImages/<video>/00000.jpg    every frame, numbered from 0
    Annotations/<video>/00000.png   label maps of annotated frames: mode P, value = object, 0 = none
    mapping.json                    where each video, frame and object came from

Rule (SAM 2, F.1.3): each object has a mask in frame 0 of its video. Objects of a video's first
annotated frame stay together. One that appears later gets a video of its own, which begins where
the object does, and so does one that overlaps another: a label map holds one object a pixel.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from saco_data.dataset.label_png import encode
from saco_data.dataset.masks import Mask
from saco_data.model.errors import OutputError, UsageError
from saco_data.model.faults import Fault, FaultsFound
from saco_data.storage import files
from saco_data.storage.disk_errors import explain_errors

VOID = 255
_JPEG = (".jpg", ".jpeg")
_QUALITY = 95  # of pictures that are not JPEG yet


class DamagedLabels(ValueError):
    """Annotations of a frame that cannot be used: `kind` and `detail` say why."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


class Video(Protocol):
    """A video with masks in some of its frames, whatever file they come from.

    `frames` are its pictures in order; `annotated` those of their indices that have masks, in
    order. `objects` says for each label, 1 to 254, what the source calls the object.
    """

    @property
    def name(self) -> str: ...
    @property
    def frames(self) -> Sequence[Path]: ...
    @property
    def annotated(self) -> Sequence[int]: ...
    @property
    def objects(self) -> Mapping[int, Any]: ...

    def masks(self, frame: int) -> Mapping[int, Mask]:
        """The masks of an annotated frame by label, bool [height, width]; VOID: unknown pixels.

        Raises DamagedLabels.
        """
        ...


@dataclass
class Part:
    """A video of the layout: from frame `start` of its source, with these labels.

    `why`: "first" (the objects of the first annotated frame), "late" or "overlap".
    """

    name: str
    source: Video
    start: int
    labels: tuple[int, ...]
    why: str


@dataclass
class _Survey:
    """What one pass over a video's masks finds."""

    first: dict[int, int] = field(default_factory=dict)  # label -> first frame with a mask
    overlaps: set[tuple[int, int]] = field(default_factory=set)  # the lower label first


@dataclass(frozen=True)
class Layout:
    """What was written: the videos of the layout, and videos left out because they have no mask."""

    parts: tuple[Part, ...]
    skipped: tuple[str, ...]
    frames: int
    label_maps: int

    def as_json(self) -> dict[str, Any]:
        """Counts, for programs."""
        return {
            "version": 1,
            "videos": len(self.parts),
            "late": sum(part.why == "late" for part in self.parts),
            "overlapping": sum(part.why == "overlap" for part in self.parts),
            "objects": sum(len(part.labels) for part in self.parts),
            "frames": self.frames,
            "label_maps": self.label_maps,
            "skipped": list(self.skipped),
        }


def write(videos: Sequence[Video], to: Path, *, keep_void: bool = False) -> Layout:
    """Writes the layout to a new folder, whole or not at all.

    Pictures that are JPEG become a second name of the same file (a copy on another disk); others
    are encoded. `keep_void`: leave 255 in the label maps; else it becomes 0, because SAM 2 takes it
    for an object. Raises FaultsFound, which names all that is wrong, OutputError, DiskFull.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise OutputError("is not empty", item=str(to), remedy="Choose a new folder")
    faults: list[Fault] = []
    surveys = [_survey(video, faults) for video in videos]
    if faults:
        raise FaultsFound.from_faults(
            "nothing was written", faults, item=str(to), remedy="Correct these first"
        )
    parts = _divide(videos, surveys)
    if not parts:
        raise UsageError("no video has a mask", item=str(to), remedy="Is it the right folder?")
    with explain_errors(to):
        building = to.with_name(f".{to.name[:80]}.{os.getpid()}.saco-tmp")
        building.mkdir(parents=True)
        try:
            layout = _write(videos, parts, building, keep_void)
            building.replace(to)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
    return layout


def _survey(video: Video, faults: list[Fault]) -> _Survey:
    found = _Survey()
    for frame in video.annotated:
        where = f"{video.name}, frame {video.frames[frame].name}"
        try:
            masks = {label: mask for label, mask in video.masks(frame).items() if mask.any()}
            size = _size_of(video.frames[frame])
        except DamagedLabels as error:
            faults.append(Fault(error.kind, where, error.detail))
            continue
        masks.pop(VOID, None)
        wrong = next((mask.shape for mask in masks.values() if mask.shape != size[::-1]), None)
        if wrong:
            detail = f"mask {wrong[1]} x {wrong[0]}, picture {size[0]} x {size[1]}"
            faults.append(Fault("mask and picture differ in size", where, detail))
            continue
        for label in masks:
            found.first.setdefault(label, frame)
        if masks and np.sum(list(masks.values()), axis=0, dtype=np.uint8).max() > 1:
            pairs = ((one, two) for one in masks for two in masks if one < two)
            found.overlaps |= {pair for pair in pairs if (masks[pair[0]] & masks[pair[1]]).any()}
    return found


def _size_of(picture: Path) -> tuple[int, int]:
    try:
        with Image.open(picture) as image:
            return image.size
    except Exception as error:
        # For untrusted bytes Pillow raises many kinds of exceptions.
        raise DamagedLabels("picture cannot be opened", str(error)) from error


def _divide(videos: Sequence[Video], surveys: Sequence[_Survey]) -> list[Part]:
    """The videos of the layout, by the rule of the module."""
    taken = {video.name for video in videos}
    parts = []
    for video, survey in zip(videos, surveys, strict=True):
        if not survey.first:
            continue
        start = min(survey.first.values())
        together: list[int] = []
        apart: list[tuple[int, str]] = []
        for label, first in sorted(survey.first.items()):
            if first > start:
                apart.append((label, "late"))
            elif any((other, label) in survey.overlaps for other in together):
                apart.append((label, "overlap"))
            else:
                together.append(label)
        parts.append(Part(video.name, video, start, tuple(together), "first"))
        for label, why in apart:
            name = f"{video.name}_{label:03d}"
            while name in taken:
                name += "_"
            taken.add(name)
            parts.append(Part(name, video, survey.first[label], (label,), why))
    return parts


def _write(videos: Iterable[Video], parts: Sequence[Part], folder: Path, keep_void: bool) -> Layout:
    frames = label_maps = 0
    skipped = []
    for video in videos:
        of_video = [part for part in parts if part.source is video]
        if not of_video:
            skipped.append(video.name)
            continue
        for part in of_video:
            for number, picture in enumerate(video.frames[part.start :]):
                _put_picture(picture, folder / "JPEGImages" / part.name / f"{number:05d}.jpg")
                frames += 1
        for frame in video.annotated:
            masks, (width, height) = video.masks(frame), _size_of(video.frames[frame])
            for part in of_video:
                if frame >= part.start:
                    name = f"{frame - part.start:05d}.png"
                    path = folder / "Annotations" / part.name / name
                    files.write_if_changed(
                        path, encode(_paint(masks, part.labels, (height, width), keep_void))
                    )
                    label_maps += 1
    files.write_if_changed(folder / "mapping.json", _mapping(parts, skipped))
    return Layout(tuple(parts), tuple(skipped), frames, label_maps)


def _paint(
    masks: Mapping[int, Mask], labels: Iterable[int], size: tuple[int, int], keep_void: bool
) -> NDArray[np.uint8]:
    """The label map of a frame, [height, width]."""
    painted = np.zeros(size, np.uint8)
    if keep_void and VOID in masks:
        painted[masks[VOID]] = VOID
    for label in labels:
        if label in masks:
            painted[masks[label]] = label
    return painted


def _put_picture(picture: Path, path: Path) -> None:
    if picture.suffix.lower() in _JPEG:
        files.link_or_copy(picture, path)
        return
    with Image.open(picture) as image:
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=_QUALITY)
    files.write_if_changed(path, buffer.getvalue())


def _mapping(parts: Iterable[Part], skipped: Sequence[str]) -> bytes:
    videos = {
        part.name: {
            "source": part.source.name,
            "why": part.why,
            "objects": {str(label): part.source.objects[label] for label in part.labels},
            "frames": [picture.name for picture in part.source.frames[part.start :]],
        }
        for part in parts
    }
    content = {"version": 1, "videos": videos, "skipped": list(skipped)}
    return json.dumps(content, indent=1).encode()
