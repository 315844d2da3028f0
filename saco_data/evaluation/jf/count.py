"""J and F of each object over its frames, by the rules of the official evaluator of SA-V."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from saco_data.dataset.label_png import LabelError, read_patch
from saco_data.dataset.patch import Labels, Patch
from saco_data.evaluation.jf.folders import Track
from saco_data.evaluation.jf.measure import Mask, cut_together, measure, tolerance
from saco_data.model.faults import Fault

SEVERAL = "holds several objects, where a folder an object needs one mask a file"


@dataclass(frozen=True)
class Score:
    """An object of a video: J and F in percent, None where it is in no counted frame of the truth.

    `frames` were counted; in `predicted` of them the prediction has the object.
    """

    video: str
    object: str
    j: float | None
    f: float | None
    frames: int
    predicted: int


@dataclass
class _Sums:
    """What the frames of one object gave so far."""

    j: list[float] = field(default_factory=list)
    f: list[float] = field(default_factory=list)
    is_in_truth: bool = False
    predicted: int = 0

    def add(self, truth: Mask, prediction: Mask, reach: int) -> None:
        """Counts a frame; not those before the object is first in truth or prediction."""
        is_true, is_predicted = bool(truth.any()), bool(prediction.any())
        if not is_true and not is_predicted and not self.j:
            return
        self.is_in_truth |= is_true
        self.predicted += is_predicted
        j, f = measure(truth, prediction, reach)
        self.j.append(j)
        self.f.append(f)

    def score(self, video: str, name: str) -> Score:
        frames, predicted = len(self.j), self.predicted
        if not self.is_in_truth:
            return Score(video, name, None, None, frames, predicted)
        # numpy's mean, as official: it adds in another order than `sum`.
        j, f = float(np.mean(self.j)) * 100, float(np.mean(self.f)) * 100
        return Score(video, name, j, f, frames, predicted)


@dataclass
class Counted:
    """The scores of all objects of some tracks, and the faults that only decoding shows.

    `frames` is how many the tracks have, counted or not.
    """

    scores: list[Score] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    frames: int = 0


def count_tracks(tracks: Sequence[Track]) -> Counted:
    """Compares the masks of these tracks."""
    counted = Counted(frames=sum(len(track.frames) for track in tracks))
    for track in tracks:
        count = _count_video if track.object is None else _count
        counted.scores += count(track, counted.faults)
    return counted


def _count(track: Track, faults: list[Fault]) -> list[Score]:
    """The score of a track of one object: every value above 0 is the object."""
    assert track.object is not None
    sums = _Sums()
    for frame, truth, prediction in _pairs(track, faults):
        for side, patch in (("ground truth", truth), ("prediction", prediction)):
            if _has_several(patch):
                where = f"{side} {track.video}/{track.object}/{frame}"
                faults.append(Fault(SEVERAL, where))
        true, predicted = cut_together(truth, prediction)
        sums.add(true > 0, predicted > 0, tolerance(truth.height, truth.width))
    return [sums.score(track.video, track.object)]


def _has_several(patch: Patch) -> bool:
    """Whether a mask has more than two values, 0 included only where it occurs."""
    values = patch.values
    if not values.size or (highest := values.max()) == 1:
        return False
    lowest = values.min()
    is_whole = values.shape == (patch.height, patch.width)
    if lowest not in (0, highest) and not is_whole:
        return True
    return not bool(((values == lowest) | (values == highest)).all())


def _count_video(track: Track, faults: list[Fault]) -> list[Score]:
    """The scores of a track of label maps: every value but 0 is an object, 255 too."""
    objects: dict[int, _Sums] = {}
    for _, truth, prediction in _pairs(track, faults):
        true, predicted = cut_together(truth, prediction)
        for label in _labels(true) | _labels(predicted):
            objects.setdefault(label, _Sums())
        for label, sums in objects.items():
            cut = _cut_to_object(true == label, predicted == label)
            sums.add(*cut, tolerance(truth.height, truth.width))
    # What is only predicted costs nothing and is not listed.
    return [
        objects[label].score(track.video, str(label))
        for label in sorted(objects)
        if objects[label].is_in_truth
    ]


def _labels(values: Labels) -> set[int]:
    if values.dtype == np.uint8:
        present = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    else:
        present = np.unique(values).astype(np.intp)
    return set(present.tolist()) - {0}


def _cut_to_object(truth: Mask, prediction: Mask) -> tuple[Mask, Mask]:
    """Two masks that were cut together, cut further; see `cut_together` for the margin."""
    either = truth | prediction
    rows, columns = np.flatnonzero(either.any(axis=1)), np.flatnonzero(either.any(axis=0))
    if not rows.size:
        return truth[:0, :0], prediction[:0, :0]
    box = (
        slice(max(0, int(rows[0]) - 1), int(rows[-1]) + 2),
        slice(max(0, int(columns[0]) - 1), int(columns[-1]) + 2),
    )
    return truth[box], prediction[box]


def _pairs(track: Track, faults: list[Fault]) -> Iterator[tuple[str, Patch, Patch]]:
    """The frames of a track that can be decoded: name, truth, prediction."""
    folder = track.video if track.object is None else f"{track.video}/{track.object}"
    for frame in track.frames:
        truth = _decode(f"{track.truth}/{frame}", f"ground truth {folder}/{frame}", faults)
        prediction = _decode(f"{track.prediction}/{frame}", f"prediction {folder}/{frame}", faults)
        if truth is not None and prediction is not None:
            yield frame, truth, prediction


def _decode(path: str, where: str, faults: list[Fault]) -> Patch | None:
    try:
        return read_patch(path)
    except LabelError as error:
        faults.append(Fault(str(error), where))
    except OSError as error:
        faults.append(Fault("cannot be read", where, str(error.strerror)))
    return None
