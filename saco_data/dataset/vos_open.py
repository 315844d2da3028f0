"""Finds out how a folder holds its masks, and opens its videos."""

from __future__ import annotations

from pathlib import Path

from saco_data.dataset.vos import Video
from saco_data.dataset.vos_folders import ANNOTATIONS, first_folder, open_folders
from saco_data.dataset.vos_json import open_json
from saco_data.model.errors import UsageError
from saco_data.model.faults import Fault, FaultsFound
from saco_data.storage.names import UnsafeName, safe_join


def open_videos(folder: Path) -> list[Video]:
    """The videos of a folder with masks: PNG below `Annotations`, or else JSON files in it.

    Raises FaultsFound, which names all that is missing, UsageError, AnnotationError.
    """
    if not folder.is_dir():
        raise UsageError("is not a folder", item=str(folder), remedy="Give a folder with masks")
    faults: list[Fault] = []
    videos: list[Video] = []
    if first_folder(folder, ANNOTATIONS):
        videos += open_folders(folder, faults)
    else:
        documents = sorted(folder.glob("*.json")) or sorted(folder.glob("annotations/*.json"))
        for path in documents:
            videos += open_json(path, folder, faults)
    if not videos and not faults:
        raise UsageError(
            "holds no videos with masks",
            item=str(folder),
            remedy="It needs PNG files in Annotations/<video>, or a JSON file of YouTube-VIS, COCO"
            " with tracks or SA-V; pictures go into JPEGImages",
        )
    for video in videos:
        try:
            is_safe = "/" not in video.name and safe_join(folder, video.name)
        except UnsafeName:
            is_safe = False
        if not is_safe:
            faults.append(Fault("name of a video that cannot be a folder", repr(video.name)))
    names = [video.name for video in videos]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults += [Fault("two videos of one name", name) for name in twice]
    if faults:
        raise FaultsFound.from_faults(
            "nothing was converted", faults, item=str(folder), remedy="Correct these first"
        )
    return videos
