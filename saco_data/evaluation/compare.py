"""Two models on the same image-NPs: the difference with its interval, wins and losses by item."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from saco_data.evaluation import bootstrap, cgf1
from saco_data.evaluation.items import Items, T, items_of
from saco_data.evaluation.results import SAMPLES, SEED, ItemRecord
from saco_data.model.errors import UsageError

NAMES = ("cgF1", "IL_MCC", "pmF1")


@dataclass(frozen=True)
class Comparison:
    """B minus A on the image-NPs that both ran on.

    `difference`: of each number, with its 95 % interval from paired draws of `units` pictures or
    videos; `wins`, `losses`: image-NPs where B is better or worse than A (F1, mean over the
    thresholds; a rejected negative is 1), of `image_nps` in all.
    """

    image_nps: int
    of: int
    a: dict[str, float]
    b: dict[str, float]
    difference: dict[str, tuple[float, float, float]]
    wins: int
    losses: int
    unit: str
    units: int
    samples: int
    seed: int

    def as_json(self) -> dict[str, Any]:
        """Plain data: `difference` is {name: [difference, low, high]}."""
        return {
            "image_nps": [self.image_nps, self.of],
            "a": self.a,
            "b": self.b,
            "difference": {name: list(each) for name, each in self.difference.items()},
            "wins": self.wins,
            "losses": self.losses,
            "bootstrap": {
                "unit": self.unit,
                "units": self.units,
                "samples": self.samples,
                "seed": self.seed,
            },
        }

    def in_words(self) -> str:
        """Some lines for a terminal."""
        lines = [f"on {self.image_nps:,} of {self.of:,} image-NPs, those that both ran on"]
        for name in NAMES:
            scale = 1 if name == "IL_MCC" else 100
            value, low, high = (scale * each for each in self.difference[name])
            verdict = "" if low > 0 or high < 0 else "  (the interval holds 0)"
            lines.append(
                f"  {name:6}  A {scale * self.a[name]:6.2f}  B {scale * self.b[name]:6.2f}  "
                f"B - A {value:+.2f}, 95 % {low:+.2f} to {high:+.2f}{verdict}"
            )
        same = self.image_nps - self.wins - self.losses
        lines.append(
            f"  B is better on {self.wins:,} image-NPs, worse on {self.losses:,}, equal on {same:,}"
        )
        lines.append(
            f"  interval: paired bootstrap over {self.units:,} {self.unit}s, "
            f"{self.samples:,} draws, seed {self.seed}"
        )
        return "\n".join(lines)


def compare(
    a: Items,
    b: Items,
    sha_a: list[str],
    sha_b: list[str],
    *,
    samples: int = SAMPLES,
    seed: int = SEED,
) -> Comparison:
    """Compares two evaluations. Raises UsageError where they had different ground truths."""
    if sha_a != sha_b:
        raise UsageError(
            "the two were evaluated with different ground truths "
            f"({', '.join(each[:12] for each in sha_a)} and "
            f"{', '.join(each[:12] for each in sha_b)})",
            remedy="Evaluate both with the same annotation file",
        )
    a, b = aligned(a, b)
    both = a.here & b.here
    evaluated = a.evaluated
    a, b = a.only(both), b.only(both)
    if not a.evaluated:
        raise UsageError("no image-NP was run by both models", remedy="Look at --ran")
    units = bootstrap.has_items(a)
    tables = [bootstrap.by_unit(each, units) for each in (a, b)]
    drawn = bootstrap.draw(tables, samples, seed)
    low, high = np.percentile(drawn[1] - drawn[0], [2.5, 97.5], axis=0)
    of_a, of_b = (cgf1.headline(cgf1.count(each)) for each in (a, b))
    difference = {
        name: (of_b[name] - of_a[name], float(low[at]), float(high[at]))
        for at, name in enumerate(NAMES)
    }
    gain = scores(b) - scores(a)
    return Comparison(
        a.evaluated,
        evaluated,
        of_a,
        of_b,
        difference,
        int((gain > 0).sum()),
        int((gain < 0).sum()),
        a.unit_kind,
        int(units.sum()),
        samples,
        seed,
    )


def scores(items: Items) -> NDArray[np.float64]:
    """How well each item was answered: mean F1 over the thresholds; 1 for a rejected negative."""
    found: NDArray[np.float64] = cgf1.f1_of(items.tp, items.predicted, items.truth).mean(axis=1)
    found[(items.truth == 0) & (items.predicted == 0)] = 1
    return found


def aligned(a: Items, b: Items) -> tuple[Items, Items]:
    """Both with the same rows: what one model has as a plain negative becomes a row of it too."""
    positions = np.union1d(a.positions, b.positions)
    return _with_rows(a, b, positions), _with_rows(b, a, positions)


def _with_rows(items: Items, other: Items, positions: NDArray[np.int64]) -> Items:
    mine = np.searchsorted(positions, items.positions)
    new = np.setdiff1d(np.arange(len(positions)), mine)
    theirs = np.searchsorted(other.positions, positions[new])
    negatives = items.negatives.copy()
    np.subtract.at(negatives, other.units[theirs], 1)

    def filled(values: NDArray[Any], rest: Any) -> NDArray[Any]:
        whole = np.zeros((len(positions), *values.shape[1:]), values.dtype)
        whole[mine], whole[new] = values, rest
        return whole

    ids: list[Any] = [None] * len(positions)
    for at, each in zip(mine.tolist(), items.ids, strict=True):
        ids[at] = each
    for at, there in zip(new.tolist(), theirs.tolist(), strict=True):
        ids[at] = other.ids[there]
    return replace(
        items,
        ids=ids,
        positions=positions,
        units=filled(items.units, other.units[theirs]),
        truth=filled(items.truth, 0),
        predicted=filled(items.predicted, 0),
        tp=filled(items.tp, np.zeros((1, T), np.int64)),
        here=filled(items.here, True),
        negatives=negatives,
    )


def read_items(path: Path, content: dict[str, Any]) -> dict[str, tuple[Items, list[str]]]:
    """The items of a result that was written with `saco eval --to`, with the ground truth's sha256.

    Raises UsageError where the file holds none.
    """
    found = {}
    try:
        for name, each in content["subsets"].items():
            record = msgspec.convert(each["items"], ItemRecord)
            sha = each["gt_sha256"]
            found[name] = (items_of(record), [sha] if isinstance(sha, str) else list(sha))
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise UsageError(
            "holds no counts of image-NPs",
            item=str(path),
            remedy="Write it with `saco eval PRED --to FILE`",
        ) from error
    return found
