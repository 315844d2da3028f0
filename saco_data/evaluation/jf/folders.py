"""What is in the folders of masks, and everything that would keep them from being counted.

A video's folder holds label maps (`<frame>.png`, as DAVIS has them) or a folder an object
(`<object>/<frame>.png`, as SA-V has them); each video of a ground truth decides for itself, and
predictions have the same paths.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from saco_data.dataset.label_png import Header, LabelError, read_header
from saco_data.model.errors import UsageError
from saco_data.model.faults import Fault

# Where data sets keep their masks.
_ANNOTATIONS = ("Annotations", "Annotations_6fps")


@dataclass(frozen=True)
class Track:
    """Masks to compare, frame by frame: of one object, or (`object` is None) of a whole video.

    `truth` and `prediction` are the folders that hold the `frames`.
    """

    video: str
    object: str | None
    truth: str
    prediction: str
    frames: tuple[str, ...]


@dataclass
class Scan:
    """What was found in the folders of one or more videos.

    `strays` are paths of files in the ground truth that are ignored.
    """

    tracks: list[Track] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    unpadded: list[str] = field(default_factory=list)


def find_roots(truth: Path, prediction: Path) -> tuple[Path, Path]:
    """The folders whose entries are videos: those given, or `Annotations` in them.

    Raises UsageError where one is not a folder.
    """
    for path in (truth, prediction):
        if not path.is_dir():
            raise UsageError(
                "is not a folder", item=str(path), remedy="Give a folder that holds one a video"
            )
    return _inner_root(truth, prediction), _inner_root(prediction, truth)


def _inner_root(root: Path, other: Path) -> Path:
    for name in _ANNOTATIONS:
        # In both folders it would be the name of a video.
        inner = root / name
        if inner.is_dir() and not ((other / name).is_dir() and _has_png(inner)):
            return root if _has_png(inner) else inner
    return root


def _has_png(folder: Path) -> bool:
    return any(name.endswith(".png") for name in _list(folder)[1])


def list_videos(root: Path) -> list[str]:
    """The names of the videos below a root, sorted."""
    return _list(root)[0]


def _list(folder: str | Path) -> tuple[list[str], list[str]]:
    """The names of the folders, but hidden ones, and of all else in a folder, sorted as text."""
    folders: list[str] = []
    others: list[str] = []
    with os.scandir(folder) as entries:
        for each in entries:
            is_folder = each.is_dir() and not each.name.startswith(".")
            (folders if is_folder else others).append(each.name)
    return sorted(folders), sorted(others)


def scan_videos(truth: str, prediction: str, videos: Sequence[str], skip_ends: bool) -> Scan:
    """The tracks of these videos and all faults that names and file headers show.

    `skip_ends`: leave out the first and last frame by name of each object or video.
    """
    found = Scan()
    for video in videos:
        try:
            _scan_video(found, truth, prediction, video, skip_ends)
        except OSError as error:
            found.faults.append(Fault("cannot be read", video, str(error.strerror)))
    return found


def _scan_video(found: Scan, truth: str, prediction: str, video: str, skip_ends: bool) -> None:
    objects, files = _list(f"{truth}/{video}")
    frames = _frames_of(found, video, files)
    if frames and objects:
        what = "the ground truth has label maps and folders of objects"
        found.faults.append(Fault(what, video))
    elif not objects:
        _scan_track(found, truth, prediction, video, None, frames, skip_ends)
    for name in () if frames else objects:
        of_object = _frames_of(found, f"{video}/{name}", _list(f"{truth}/{video}/{name}")[1])
        _scan_track(found, truth, prediction, video, name, of_object, skip_ends)


def _frames_of(found: Scan, folder: str, names: list[str]) -> list[str]:
    """The names of frames, sorted as text like in the official evaluator."""
    frames = [name for name in names if name.endswith(".png") and not name.startswith(".")]
    found.strays += [f"{folder}/{name}" for name in names if name not in set(frames)]
    if len(set(map(len, frames))) > 1:
        found.unpadded.append(folder)
    return frames


def _scan_track(
    found: Scan,
    truth: str,
    prediction: str,
    video: str,
    name: str | None,
    frames: list[str],
    skip_ends: bool,
) -> None:
    where = video if name is None else f"{video}/{name}"
    counted = tuple(frames[1:-1] if skip_ends else frames)
    track = Track(video, name, f"{truth}/{where}", f"{prediction}/{where}", counted)
    found.tracks.append(track)
    if not counted:
        return
    try:
        here = set(_list(track.prediction)[1])
    except (FileNotFoundError, NotADirectoryError):
        what = "no folder in the predictions"
        is_other = name is not None and _has_png(Path(prediction, video))
        detail = "there are label maps instead, the ground truth has a folder an object"
        if not is_other and name is not None:
            objects = _list(f"{truth}/{video}")[0]
            detail = _name_other(_list(f"{prediction}/{video}")[0], objects)
        found.faults.append(Fault(what, where, detail))
        return
    other = _name_other(here, frames)
    for frame in counted:
        path = f"{where}/{frame}"
        if frame not in here:
            found.faults.append(Fault("no such frame in the predictions", path, other))
            continue
        true = _check_header(found, track.truth, frame, f"ground truth {path}")
        predicted = _check_header(found, track.prediction, frame, f"prediction {path}")
        if true and predicted and (true.width, true.height) != (predicted.width, predicted.height):
            sizes = f"{predicted.width} x {predicted.height}, not {true.width} x {true.height}"
            found.faults.append(Fault("wrong size", f"prediction {path}", sizes))


def _name_other(names: Iterable[str], known: Sequence[str]) -> str:
    """The first name that the ground truth does not have, in words; "" if there is none."""
    others = sorted({name for name in names if not name.startswith(".")} - set(known))
    return f"there is {others[0]}, which the ground truth does not have" if others else ""


def _check_header(found: Scan, folder: str, frame: str, where: str) -> Header | None:
    try:
        return read_header(f"{folder}/{frame}")
    except LabelError as error:
        found.faults.append(Fault(str(error), where))
    except OSError as error:
        found.faults.append(Fault("cannot be read", where, str(error.strerror)))
    return None


def merge(scans: Iterable[Scan]) -> Scan:
    """All that several scans found."""
    whole = Scan()
    for scan in scans:
        whole.tracks += scan.tracks
        whole.faults += scan.faults
        whole.strays += scan.strays
        whole.unpadded += scan.unpadded
    return whole
