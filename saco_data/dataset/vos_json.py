"""Videos with masks in JSON: YouTube-VIS, COCO with tracks, and SA-V's train annotations."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as rle

from saco_data.dataset import sav_json
from saco_data.dataset.masks import LARGEST, DamagedMask, Mask, decode
from saco_data.dataset.vos import VOID, DamagedLabels
from saco_data.dataset.vos_folders import PICTURES, find_pictures, first_folder
from saco_data.model.errors import AnnotationError, UsageError
from saco_data.model.faults import Fault
from saco_data.storage import untrusted_json
from saco_data.storage.names import UnsafeName, safe_join

_TRACK_KEYS = ("track_id", "instance_id")
_FRAME_KEYS = ("frame_id", "frame_index")


@dataclass
class Segments:
    """A video whose masks are RLE or polygons. See `vos.Video`."""

    name: str
    frames: Sequence[Path]
    objects: Mapping[int, Any]
    sizes: Mapping[int, tuple[int, int]]  # frame -> (width, height)
    segments: Mapping[int, list[tuple[int, Any]]] = field(default_factory=dict)

    @property
    def annotated(self) -> list[int]:
        """See `vos.Video`."""
        return sorted(self.segments)

    def masks(self, frame: int) -> dict[int, Mask]:
        """See `vos.Video.masks`; several segments of an object are joined."""
        found: dict[int, Mask] = {}
        for label, segment in self.segments[frame]:
            try:
                mask = to_mask(segment, *self.sizes[frame])
            except DamagedMask as error:
                raise DamagedLabels("damaged mask", f"{self.objects[label]}: {error}") from error
            found[label] = found[label] | mask if label in found else mask
        return found


@dataclass
class Masklets:
    """A video of SA-V's train split. See `vos.Video`."""

    name: str
    frames: Sequence[Path]
    annotated: Sequence[int]
    objects: Mapping[int, Any]
    source: sav_json.Masklets
    numbers: Mapping[int, int]  # index in `frames` -> frame of the video

    def masks(self, frame: int) -> dict[int, Mask]:
        """See `vos.Video.masks`."""
        try:
            found = self.source.masks(self.numbers[frame])
        except AnnotationError as error:
            raise DamagedLabels("damaged mask", error.what) from error
        return dict(enumerate(found.values(), 1))


def to_mask(segment: Any, width: int, height: int) -> Mask:
    """A COCO segmentation (RLE, plain or compressed, or polygons) as bool [height, width].

    None is an absent object. Raises DamagedMask.
    """
    if segment is None or segment == []:
        return np.zeros((height, width), bool)
    if isinstance(segment, list):
        return _fill_polygons(segment, width, height)
    counts = segment.get("counts") if isinstance(segment, Mapping) else None
    if not isinstance(counts, list):
        return decode(segment, width, height)
    if not all(isinstance(each, int) and each >= 0 for each in counts):
        raise DamagedMask("its RLE holds what is not a number of pixels")
    if segment.get("size") != [height, width]:
        raise DamagedMask(f"its RLE is not of the size {width} x {height}")
    if sum(counts) != width * height:
        raise DamagedMask(f"its RLE fills {sum(counts)} of {width * height} pixels")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, counts).reshape((height, width), order="F")


def _fill_polygons(polygons: list[Any], width: int, height: int) -> Mask:
    try:
        points = [np.array(each, dtype=float) for each in polygons]
    except (TypeError, ValueError) as error:
        raise DamagedMask("its polygons hold what is not a number") from error
    far = 10 * max(width, height)  # pycocotools walks along every pixel of an edge
    if any(each.ndim != 1 or len(each) < 6 or len(each) % 2 for each in points):
        raise DamagedMask("a polygon needs three points, [x, y, x, y, x, y]")
    if any(not (np.abs(each) <= far).all() for each in points):
        raise DamagedMask("a polygon leaves its picture by far")
    encoded = rle.frPyObjects([each.tolist() for each in points], height, width)
    return rle.decode(rle.merge(encoded)).astype(bool)


def open_json(path: Path, root: Path, faults: list[Fault]) -> Sequence[Segments | Masklets]:
    """The videos of an annotation file, with their pictures below `root`.

    `faults` receives what cannot be used. Raises UsageError, AnnotationError.
    """
    try:
        content = untrusted_json.parse(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"cannot be read ({error.strerror})", item=str(path), remedy="Make it readable"
        ) from error
    except ValueError as error:
        raise UsageError(
            f"is not JSON ({error})", item=str(path), remedy="Correct the file"
        ) from error
    if not isinstance(content, Mapping):
        raise UsageError(
            "is not YouTube-VIS, COCO or SA-V JSON: these are objects with `annotations`",
            item=str(path),
            remedy="Take it out of this folder, or put the annotations there",
        )
    if sav_json.is_sav_json(content):
        return [_open_masklets(path, root, faults)]
    try:
        if any("segmentations" in each for each in content["annotations"]):
            return _open_vis(content, root, faults)
        return _open_coco(content, root, faults)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(
            f"is not YouTube-VIS, COCO or SA-V JSON ({_explain(error)})",
            item=str(path),
            remedy="Correct the file",
        ) from error


def _open_masklets(path: Path, root: Path, faults: list[Fault]) -> Masklets:
    source = sav_json.read(path)
    name = source.video if source.kind == "manual" else f"{source.video}_{source.kind}"
    pictures = first_folder(root, PICTURES) or root
    frames = find_pictures(pictures / source.video)
    numbers = {
        number: int(each.stem) for number, each in enumerate(frames) if each.stem.isdecimal()
    }
    annotated = [number for number, frame in numbers.items() if frame in set(source.frames)]
    missing = set(source.frames) - set(numbers.values())
    faults += [Fault("mask without a picture", f"{name}/{frame:05d}") for frame in sorted(missing)]
    objects = _number(list(source.objects), name, faults)
    return Masklets(name, frames, annotated, objects, source, numbers)


def _number(objects: Sequence[Any], video: str, faults: list[Fault]) -> dict[int, Any]:
    """Labels from 1 for the objects of a video."""
    if len(objects) >= VOID:
        what = "more objects than a label map can hold (254)"
        faults.append(Fault(what, video, f"it has {len(objects)}"))
    return dict(enumerate(objects, 1))


def _explain(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else str(error)


def _open_vis(content: Mapping[str, Any], root: Path, faults: list[Fault]) -> list[Segments]:
    """YouTube-VIS: an annotation is an object, with one segmentation a frame."""
    of_video = defaultdict(list)
    for annotation in content["annotations"]:
        of_video[annotation["video_id"]].append(annotation)
    videos = []
    called = _name([(each["file_names"][0], each["id"]) for each in content["videos"]])
    for video, name in zip(content["videos"], called, strict=True):
        annotations = of_video[video["id"]]
        names = video["file_names"]
        size = int(video["width"]), int(video["height"])
        frames = _find_frames(root, names, name, faults)
        objects = _number([each["id"] for each in annotations], name, faults)
        segments: dict[int, list[tuple[int, Any]]] = {number: [] for number in range(len(names))}
        for label, annotation in enumerate(annotations, 1):
            for number, segment in enumerate(annotation["segmentations"]):
                if number not in segments:
                    raise ValueError(f"annotation {annotation['id']} has more masks than frames")
                segments[number].append((label, segment))
        sizes = dict.fromkeys(segments, _checked(size))
        videos.append(Segments(name, frames, objects, sizes, segments))
    return videos


def _open_coco(content: Mapping[str, Any], root: Path, faults: list[Fault]) -> list[Segments]:
    """COCO with tracks: pictures know their video and place in it, annotations their track.

    Without `video_id` the folder of `file_name` is the video; without a place, the order of names.
    A picture without annotations is a frame without objects.
    """
    names_of = {each["id"]: each.get("name") for each in content.get("videos", [])}
    pictures = defaultdict(list)
    for picture in content["images"]:
        pictures[picture.get("video_id", str(Path(picture["file_name"]).parent))].append(picture)
    annotations = defaultdict(list)
    for annotation in content["annotations"]:
        annotations[annotation["image_id"]].append(annotation)
    videos = []
    called = _name(
        [(each[0]["file_name"], names_of.get(key) or key) for key, each in pictures.items()]
    )
    for of_video, name in zip(pictures.values(), called, strict=True):
        of_video.sort(key=_place)
        frames = _find_frames(root, [each["file_name"] for each in of_video], name, faults)
        labels: dict[Any, int] = {}
        segments: dict[int, list[tuple[int, Any]]] = {}
        sizes = {}
        for number, picture in enumerate(of_video):
            sizes[number] = _checked((int(picture["width"]), int(picture["height"])))
            segments[number] = []
            for annotation in annotations[picture["id"]]:
                track = _track(annotation)
                label = labels.setdefault(track, len(labels) + 1)
                segments[number].append((label, annotation.get("segmentation")))
        objects = _number(list(labels), name, faults)
        videos.append(Segments(name, frames, objects, sizes, segments))
    return videos


def _place(picture: Mapping[str, Any]) -> tuple[float, str]:
    place = next((picture[key] for key in _FRAME_KEYS if key in picture), 0)
    return float(place), picture["file_name"]


def _track(annotation: Mapping[str, Any]) -> Any:
    for holder in (annotation, annotation.get("attributes") or {}):
        for key in _TRACK_KEYS:
            if holder.get(key) is not None:
                return holder[key]
    raise ValueError(f"annotation {annotation.get('id')} has no {' or '.join(_TRACK_KEYS)}")


def _checked(size: tuple[int, int]) -> tuple[int, int]:
    if not 0 < size[0] * size[1] <= LARGEST:
        raise ValueError(f"a frame of {size[0]} x {size[1]} pixels")
    return size


def _name(videos: Sequence[tuple[str, Any]]) -> list[str]:
    """Names of videos from the file name of a frame and what the file calls the video.

    The folder of the frames; with the folders above it where that does not tell videos apart.
    """
    folders = [Path(file_name).parent for file_name, _ in videos]
    names = [folder.name for folder in folders]
    if len(set(names)) < len(names):
        names = ["_".join(folder.parts) for folder in folders]
    if len(set(names)) < len(names):
        names = [str(key).replace("/", "_") for _, key in videos]
    return [name or str(key) for name, (_, key) in zip(names, videos, strict=True)]


def _find_frames(root: Path, names: Sequence[str], video: str, faults: list[Fault]) -> list[Path]:
    """The pictures by the names of an annotation file, wherever pictures usually are."""
    roots: list[Path] = [root / folder for folder in PICTURES if (root / folder).is_dir()]
    exists: Callable[[Path], bool] = Path.is_file
    found = []
    for name in names:
        try:
            places = [safe_join(base, name) for base in (*roots, root)]
        except UnsafeName as error:
            faults.append(Fault("unsafe name of a picture", video, str(error)))
            continue
        picture = next((place for place in places if exists(place)), None)
        if picture is None:
            faults.append(Fault("picture is missing", name))
        found.append(picture or places[0])
    return found
