"""In which frames of a video each of its masklets is in sight."""

from __future__ import annotations

from dataclasses import dataclass

from saco_data.config.subset import SubsetConfig
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


def list_timelines(config: SubsetConfig) -> list[Timeline]:
    """The timelines of some videos of a subset, the same ones that the gallery shows."""
    found: list[Timeline] = []
    for video in masklets.choose(masklets.videos_of(config), config.id):
        if len(found) == VIDEOS:
            break
        try:
            timeline = _read(config.id, video)
        except (AnnotationError, Incomplete, FrameError, OSError):
            continue  # the gallery names it among those that could not be drawn
        if timeline:
            found.append(timeline)
    return found


def _read(subset: str, video: Video | TrainVideo) -> Timeline | None:
    """The timeline of a video, None where nothing is annotated."""
    annotated = video.annotated
    count = min(FRAMES, len(annotated))
    if not count or not video.objects:
        return None
    last = max(1, count - 1)
    frames = [annotated[at * (len(annotated) - 1) // last] for at in range(count)]
    names = list(video.objects)[:OBJECTS]
    seen: dict[int, list[bool]] = {name: [] for name in names}
    for frame in frames:
        masks = video.masks(frame)
        for name in names:
            seen[name].append(name in masks and bool(masks[name].any()))
    tracks = [(str(name), marks) for name, marks in seen.items()]
    shown = plain(masklets.name_of(video))
    return Timeline(subset, shown, len(annotated), len(video.objects), frames, tracks)
