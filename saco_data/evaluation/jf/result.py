"""The J&F of a folder of predictions, with what it stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from saco_data.evaluation.jf.count import Score

SAMPLES = 10_000


@dataclass(frozen=True)
class Result:
    """J&F of predictions: means over all objects of all videos, in percent.

    `scores` are in order of video and object. `videos`: how many have predictions, of how many.
    `interval` holds the 2.5th and 97.5th percentile by name, from resampled videos; None for a
    single video. `notes` say what was left out or is unusual.
    """

    scores: tuple[Score, ...]
    empty_videos: tuple[str, ...]
    videos: tuple[int, int]
    notes: tuple[str, ...]

    @property
    def counted(self) -> tuple[Score, ...]:
        """The objects that have a number."""
        return tuple(score for score in self.scores if score.j is not None)

    @property
    def empty(self) -> tuple[Score, ...]:
        """The objects that the ground truth has in no counted frame."""
        return tuple(score for score in self.scores if score.j is None)

    @property
    def official(self) -> dict[str, float]:
        """The official number: JF, J, F."""
        j, f = np.array([(score.j, score.f) for score in self.counted]).T
        return {"JF": float((j.mean() + f.mean()) / 2), "J": float(j.mean()), "F": float(f.mean())}

    @property
    def remarks(self) -> list[str]:
        """The notes, and a line for each object that has no number."""
        empty = [
            f"{score.video}/{score.object} is in no counted frame of the ground truth and"
            f" has no number; the prediction has it in {score.predicted}"
            for score in self.empty
        ]
        return [*self.notes, *empty]

    @property
    def objects(self) -> dict[str, dict[str, list[float]]]:
        """[J, F] by video and object; a video without counted objects is there too."""
        by_video: dict[str, dict[str, list[float]]] = {video: {} for video in self.empty_videos}
        for score in self.scores:
            of_video = by_video.setdefault(score.video, {})
            if score.j is not None and score.f is not None:
                of_video[score.object] = [score.j, score.f]
        return dict(sorted(by_video.items()))

    @property
    def interval(self) -> dict[str, list[float]] | None:
        """The 95 % interval of JF, J and F by a bootstrap over videos; the same each time."""
        sums = np.array(
            [
                (sum(j for j, _ in each.values()), sum(f for _, f in each.values()), len(each))
                for each in self.objects.values()
                if each
            ]
        )
        if len(sums) < 2:
            return None
        chance = np.random.default_rng(0)
        draws = chance.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=SAMPLES)
        j, f, count = (draws @ sums).T
        found = {"JF": (j + f) / 2 / count, "J": j / count, "F": f / count}
        return {
            name: [float(each) for each in np.percentile(values, [2.5, 97.5])]
            for name, values in found.items()
        }

    @property
    def coverage(self) -> dict[str, Any]:
        """On how much the number stands: [counted, all]; `frames` are counted masks."""
        return {
            "videos": list(self.videos),
            "objects": [len(self.counted), len(self.scores)],
            "frames": sum(score.frames for score in self.counted),
        }

    def as_json(self) -> dict[str, Any]:
        """The block of `saco eval --json`."""
        return {
            "official": self.official,
            "objects": self.objects,
            "coverage": self.coverage,
            "interval_95": self.interval,
            "empty_objects": [
                {
                    "video": score.video,
                    "object": score.object,
                    "frames": score.frames,
                    "predicted": score.predicted,
                }
                for score in self.empty
            ],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        number, interval = self.official, self.interval
        spread = "95 % interval {:.1f} to {:.1f}, ".format(*interval["JF"]) if interval else ""
        videos, objects = self.videos, self.coverage["objects"]
        return (
            f"J&F {number['JF']:.1f} (J {number['J']:.1f}, F {number['F']:.1f}; {spread}"
            f"on {videos[0]} of {videos[1]} videos, {objects[0]} of {objects[1]} objects)"
        )

    def as_csv(self) -> str:
        """The table that the official evaluator calls `results.csv`, with empty objects as nan."""
        width = max(map(len, ["Global score", *self.objects]))
        number = self.official
        rows = [
            f"{'sequence':<{width}},obj,  J&F,    J,    F",
            f"{'Global score':<{width}},   , {number['JF']:.1f}, {number['J']:.1f},"
            f" {number['F']:.1f}",
        ]
        for score in self.scores:
            j = float("nan") if score.j is None else score.j
            f = float("nan") if score.f is None else score.f
            name = score.object.zfill(3) if score.object.isdecimal() else score.object
            rows.append(f"{score.video:<{width}},{name}, {(j + f) / 2:>4.1f}, {j:>4.1f}, {f:>4.1f}")
        return "\n".join(rows) + "\n"
