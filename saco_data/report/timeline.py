"""In which frames of a video each of its masklets is in sight."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from saco_data.dataset.pairs import plain
from saco_data.dataset.train_videos import TrainVideo
from saco_data.dataset.videos import Video
from saco_data.media.frames import FrameError
from saco_data.model.errors import AnnotationError, Incomplete
from saco_data.report import masklets

VIDEOS = 8  # of a subset
# A mask must be decoded for each of these; all of a long video would take minutes.
FRAMES = 24
OBJECTS = 20


@dataclass(frozen=True)
class Timeline:
    """The objects of a video over time.

    `annotated`, `objects`: how many the video has. `frames`: those that were looked at. `tracks`:
    (name, whether it is in sight at each of these frames) of the first OBJECTS objects.
    """

    subset: str
    name: str
    annotated: int
    objects: int
    frames: list[int]
    tracks: list[tuple[str, list[bool]]]


def list_timelines(subset: str, videos: Iterable[Video | TrainVideo]) -> list[Timeline]:
    """The timelines of the first of these videos of a subset."""
    found: list[Timeline] = []
    for video in videos:
        if len(found) == VIDEOS:
            break
        try:
            timeline = _read(subset, video)
        except (AnnotationError, Incomplete, FrameError, OSError):
            continue  # the gallery names it among those that could not be drawn
        if timeline:
            found.append(timeline)
    return found


def _read(subset: str, video: Video | TrainVideo) -> Timeline | None:
    """The timeline of a video, None where nothing is annotated."""
    annotated = video.annotated
    frames = masklets.spread(annotated, FRAMES)
    if not frames or not video.objects:
        return None
    names = list(video.objects)[:OBJECTS]
    seen: dict[int, list[bool]] = {name: [] for name in names}
    for frame in frames:
        masks = video.masks(frame)
        for name in names:
            seen[name].append(name in masks and bool(masks[name].any()))
    tracks = [(str(name), marks) for name, marks in seen.items()]
    shown = plain(masklets.name_of(video))
    return Timeline(subset, shown, len(annotated), len(video.objects), frames, tracks)
