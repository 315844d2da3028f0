"""Compares two folders of masks: scans all, refuses what is faulty, then counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, as_completed
from pathlib import Path
from typing import Any, Protocol, TypeVar

from saco_data.evaluation.jf import folders
from saco_data.evaluation.jf.count import Score, count_tracks
from saco_data.evaluation.jf.folders import Scan, Track
from saco_data.evaluation.jf.result import Result
from saco_data.model.errors import UsageError
from saco_data.model.faults import Fault, FaultsFound

R = TypeVar("R")
_VIDEOS_A_TASK = 20
_FRAMES_A_TASK = 300
# Starting processes takes about as long as comparing so few masks.
_FEW_FRAMES = 3000
_TASK_SECONDS = 24 * 3600.0


class Executor(Protocol):
    """Where work runs: `executors.local.LocalExecutor` and its like."""

    def submit(self, function: Callable[..., R], *arguments: Any, seconds: float) -> Future[R]:
        """Starts a call in another process."""
        ...


def evaluate_folders(
    ground_truth: Path | str,
    predictions: Path | str,
    *,
    skip_first_and_last: bool = True,
    partial: bool = False,
    strict: bool = False,
    executor: Executor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """J&F of the masks in `predictions`, with the numbers of the official evaluator of SA-V.

    Both folders hold a folder a video, in it `<object>/<frame>.png` (SA-V) or `<frame>.png` (label
    maps). `skip_first_and_last`: do not count the first and last frame of each object. `partial`:
    allow videos without predictions. `strict`: refuse predictions of unknown videos.
    `executor`: processes to share the work; without one it is done here. `progress` is called with
    the number of frames counted and of all.

    Raises FaultsFound, which names everything that is wrong at once, and UsageError.
    """
    truth, prediction = folders.find_roots(Path(ground_truth), Path(predictions))
    videos, predicted = folders.list_videos(truth), set(folders.list_videos(prediction))
    common = [video for video in videos if video in predicted]
    if not common:
        raise UsageError(
            f"has none of the {len(videos)} videos of {truth}",
            item=str(prediction),
            remedy="Both must be folders that hold one folder a video, with the same names",
        )
    faults = _missing_videos(videos, predicted, partial=partial, strict=strict)
    scan = folders.merge(
        _run(
            executor if len(common) > _VIDEOS_A_TASK else None,
            folders.scan_videos,
            [
                (str(truth), str(prediction), common[at : at + _VIDEOS_A_TASK], skip_first_and_last)
                for at in range(0, len(common), _VIDEOS_A_TASK)
            ],
        )
    )
    _refuse(faults + scan.faults, prediction, partial=partial)
    scores, faults = _count(scan.tracks, executor, progress)
    _refuse(faults, prediction, partial=partial)
    if not any(score.j is not None for score in scores):
        raise UsageError(
            f"no object of the ground truth is in a frame that counts ({len(common)} videos)",
            item=str(truth),
            remedy="The first and last frame of each object are left out unless told otherwise",
        )
    seen = {score.video for score in scores}
    return Result(
        scores=tuple(sorted(scores, key=_order)),
        empty_videos=tuple(video for video in common if video not in seen),
        videos=(len(common), len(videos)),
        notes=tuple(_notes(scan, videos, predicted)),
    )


def _missing_videos(
    videos: Sequence[str], predicted: set[str], *, partial: bool, strict: bool
) -> list[Fault]:
    faults = []
    if not partial:
        what = "video without predictions"
        faults += [Fault(what, video) for video in videos if video not in predicted]
    if strict:
        what = "video that the ground truth does not have"
        faults += [Fault(what, video) for video in sorted(predicted - set(videos))]
    return faults


def _refuse(faults: Sequence[Fault], predictions: Path, *, partial: bool) -> None:
    if not faults:
        return
    remedy = "Correct these files; an object that is not found needs an empty mask"
    if not partial and any(fault.kind == "video without predictions" for fault in faults):
        remedy += ". Use --partial to count only videos that have predictions"
    raise FaultsFound.from_faults(
        "nothing was counted", faults, item=str(predictions), remedy=remedy
    )


def _count(
    tracks: Sequence[Track],
    executor: Executor | None,
    progress: Callable[[int, int], None] | None,
) -> tuple[list[Score], list[Fault]]:
    total = sum(len(track.frames) for track in tracks)
    tasks = _share_out(tracks)
    scores: list[Score] = []
    faults: list[Fault] = []
    done = 0
    for found in _run(executor if total > _FEW_FRAMES else None, count_tracks, tasks):
        scores += found.scores
        faults += found.faults
        done += found.frames
        if progress:
            progress(done, total)
    return scores, sorted(faults)


def _share_out(tracks: Sequence[Track]) -> list[tuple[list[Track]]]:
    """The tracks as arguments of tasks, the longest first so that all workers end together."""
    tasks: list[tuple[list[Track]]] = []
    size = _FRAMES_A_TASK
    for track in sorted(tracks, key=lambda track: len(track.frames), reverse=True):
        if size >= _FRAMES_A_TASK:
            tasks.append(([],))
            size = 0
        tasks[-1][0].append(track)
        size += len(track.frames)
    return tasks


def _run(
    executor: Executor | None,
    function: Callable[..., R],
    tasks: Sequence[tuple[Any, ...]],
) -> Iterator[R]:
    """The results of all calls, in any order."""
    if executor is None:
        for arguments in tasks:
            yield function(*arguments)
        return
    futures = [executor.submit(function, *each, seconds=_TASK_SECONDS) for each in tasks]
    for future in as_completed(futures):
        yield future.result()


def _order(score: Score) -> tuple[str, int, str]:
    """By video; labels as numbers, folders of objects by name."""
    return score.video, int(score.object) if score.object.isdecimal() else 0, score.object


def _notes(scan: Scan, videos: Sequence[str], predicted: set[str]) -> Iterator[str]:
    named = {
        "videos without predictions": [video for video in videos if video not in predicted],
        "videos that are only in the predictions": sorted(predicted - set(videos)),
        "files in the ground truth that are not frames, left out": sorted(scan.strays),
        "folders whose frame names differ in length; the first and last frame are taken by name,"
        " as the official evaluator does, not by number": sorted(scan.unpadded),
    }
    for what, names in named.items():
        if names:
            yield f"{what}: {len(names)} ({', '.join(names[:5])}{', ...' * (len(names) > 5)})"
