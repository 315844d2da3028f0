"""Videos with masks as PNG in folders: label maps (DAVIS, MOSE) or a folder an object (SA-V)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from saco_data.dataset.label_png import LabelError, read
from saco_data.dataset.masks import Mask
from saco_data.dataset.patch import Labels
from saco_data.dataset.vos import VOID, DamagedLabels
from saco_data.model.errors import UsageError
from saco_data.model.faults import Fault

PICTURES = ("JPEGImages", "JPEGImages_24fps", "JPEGImages_6fps", "images")
ANNOTATIONS = ("Annotations", "Annotations_6fps")
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


def find_pictures(folder: Path) -> list[Path]:
    """The pictures of a video, in order of their numbers, or of their names if one has none."""
    if not folder.is_dir():
        return []
    found = [
        path
        for path in folder.iterdir()
        if path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")
    ]
    if all(path.stem.isdecimal() for path in found):
        return sorted(found, key=lambda path: (int(path.stem), path.name))
    return sorted(found)


def first_folder(root: Path, names: Iterable[str]) -> Path | None:
    """The first of these folders that is there."""
    return next((root / name for name in names if (root / name).is_dir()), None)


@dataclass
class LabelMaps:
    """A video whose annotated frames have one label map each. See `vos.Video`."""

    name: str
    frames: Sequence[Path]
    annotated: Sequence[int]
    maps: Mapping[int, Path]
    objects: Mapping[int, Any] = field(default_factory=lambda: dict(enumerate(range(1, VOID), 1)))

    def masks(self, frame: int) -> dict[int, Mask]:
        """See `vos.Video.masks`."""
        labels = _read(self.maps[frame])
        found = {}
        for label in np.unique(labels).tolist():
            if label > VOID:
                raise DamagedLabels("object ids above 255, which a label map cannot hold")
            if label:
                found[label] = np.asarray(labels == label)
        return found


@dataclass
class ObjectFolders:
    """A video with a folder of masks for each object. See `vos.Video`."""

    name: str
    frames: Sequence[Path]
    annotated: Sequence[int]
    maps: Mapping[int, Mapping[int, Path]]  # frame -> label -> mask
    objects: Mapping[int, Any]

    def masks(self, frame: int) -> dict[int, Mask]:
        """See `vos.Video.masks`."""
        return {label: _read(path) > 0 for label, path in self.maps[frame].items()}


def _read(path: Path) -> Labels:
    try:
        return read(path)
    except LabelError as error:
        raise DamagedLabels(f"mask {error}", path.name) from error
    except OSError as error:
        raise DamagedLabels("mask cannot be read", f"{path.name}: {error.strerror}") from error


def open_folders(root: Path, faults: list[Fault]) -> list[LabelMaps | ObjectFolders]:
    """The videos below `Annotations`, with their pictures below `JPEGImages`.

    `faults` receives what cannot be used. Raises UsageError where there are no pictures.
    """
    annotations, pictures = first_folder(root, ANNOTATIONS), first_folder(root, PICTURES)
    assert annotations is not None
    if pictures is None:
        raise UsageError(
            "has masks but no pictures",
            item=str(root),
            remedy=f"Put a folder of pictures a video into {PICTURES[0]}",
        )
    videos: list[LabelMaps | ObjectFolders] = []
    for folder in sorted(path for path in annotations.iterdir() if path.is_dir()):
        frames = find_pictures(pictures / folder.name)
        numbers = {_key(path): number for number, path in enumerate(frames)}
        objects = sorted(
            (path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."),
            key=lambda path: (int(path.name) if path.name.isdecimal() else 0, path.name),
        )
        if not objects:
            maps = _match(folder, folder.name, numbers, faults)
            videos.append(LabelMaps(folder.name, frames, sorted(maps), maps))
            continue
        labels = _number(objects, folder.name, faults)
        by_frame: dict[int, dict[int, Path]] = {}
        for label, path in labels.items():
            for frame, mask in _match(path, f"{folder.name}/{path.name}", numbers, faults).items():
                by_frame.setdefault(frame, {})[label] = mask
        names = {label: path.name for label, path in labels.items()}
        videos.append(ObjectFolders(folder.name, frames, sorted(by_frame), by_frame, names))
    return videos


def _key(path: Path) -> int | str:
    return int(path.stem) if path.stem.isdecimal() else path.stem


def _match(
    folder: Path, where: str, numbers: Mapping[int | str, int], faults: list[Fault]
) -> dict[int, Path]:
    """The masks of a folder by the index of the picture with the same number."""
    found = {}
    for path in folder.iterdir():
        if path.suffix != ".png" or path.name.startswith("."):
            continue
        if _key(path) in numbers:
            found[numbers[_key(path)]] = path
        else:
            faults.append(Fault("mask without a picture", f"{where}/{path.name}"))
    return found


def _number(objects: list[Path], video: str, faults: list[Fault]) -> dict[int, Path]:
    """The folders of objects by label: their number plus 1, as SAM 2 has it, or in order."""
    if all(path.name.isdecimal() for path in objects):
        labels = {int(path.name) + 1: path for path in objects}
    else:
        labels = dict(enumerate(objects, 1))
    if len(labels) < len(objects):
        faults.append(Fault("two folders with the same number", video))
    if max(labels) >= VOID:
        faults.append(Fault("object ids above 255, which a label map cannot hold", video))
    return labels
