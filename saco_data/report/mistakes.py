"""What went wrong in an evaluation, item by item: from a result that `saco eval --to` wrote.

An image-NP that is negative and has no predictions is right, and only counted. Every other one has
a kind, one of KINDS, by its numbers of masks, its true positives, and for merged ones by the masks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from saco_data.dataset import pairs as all_pairs
from saco_data.dataset.masks import DamagedMask, Mask, decode
from saco_data.dataset.pairs import Annotation, Pair, Pairs, area_of, decode_masks, plain
from saco_data.dataset.raw_json import value_of
from saco_data.evaluation.compare import read_items
from saco_data.evaluation.items import Items
from saco_data.model.errors import UsageError
from saco_data.storage import files, untrusted_json

INVENTED = "said yes where there is none"
MISSED = "missed the phrase"
MERGED = "merged"
COUNT = "wrong count"
LOW = "low IoU"
RIGHT = "right"
NOT_HERE = "not here"
KINDS = (INVENTED, MISSED, MERGED, COUNT, LOW, RIGHT, NOT_HERE)
WRONG = KINDS[:5]
AT_75 = 5  # the threshold 0.75: where a mask is below it the item has low IoU
COVERED = 0.5  # share of a mask that a prediction covers to hold it
SCORE = 0.5  # predictions below it do not count
# Upper ends of the sizes: the mean mask of an item, as a share of the picture.
SIZES = ((0.001, "below 0.1 %"), (0.01, "0.1 to 1 %"), (0.1, "1 to 10 %"), (2.0, "above 10 %"))
NO_MASK = "no mask"


@dataclass
class Mistake:
    """An image-NP with its kind. `f1`: mean over the ten thresholds, 0 to 1; `size`: of SIZES."""

    subset: str
    pair: Pair
    kind: str
    truth: int
    predicted: int
    f1: float
    size: str

    @property
    def cost(self) -> float:
        """Masks that are wrong or missing: how much the item weighs in the number."""
        return (self.truth + self.predicted) * (1 - self.f1)


@dataclass
class Evaluated:
    """One subset of a result: its items, plain negatives that were right, and its masks."""

    subset: str
    items: list[Mistake]
    negatives: int
    headline: dict[str, float]
    coverage: tuple[int, int]
    pairs: Pairs
    predictions: dict[Any, list[Any]] = field(default_factory=dict)

    def masks_of(self, item: Mistake) -> tuple[list[Mask], list[Mask]]:
        """The annotated and the predicted masks of an item, without damaged ones."""
        truth, _ = decode_masks(item.pair, self.pairs.of(item.pair))
        return truth, _decoded(self.predictions.get(item.pair.id, ()), item.pair)


class _Entry(msgspec.Struct, gc=False):
    image_id: int | float | str
    score: float = 0.0
    segmentation: msgspec.Raw = msgspec.Raw(b"null")


def read(path: Path) -> list[Evaluated]:
    """The subsets of a result. Raises UsageError where a file is not whole or not the same."""
    try:
        content = untrusted_json.parse(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _wrong(path, f"cannot be read ({error})") from error
    found = []
    for name, (items, sha256) in read_items(path, content).items():
        result = content["subsets"][name]
        try:
            truth, predictions = Path(result["ground_truth"][0]), Path(result["predictions"])
            here, whole = result["coverage"]["image_nps"]
            headline = {key: float(result["headline"][key]) for key in ("cgF1", "IL_MCC", "pmF1")}
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise _wrong(path, f"lacks {error}") from error
        if not truth.is_file() or files.sha256_of(truth) not in sha256:
            raise _wrong(path, f"was made with another {truth} than the present one")
        pairs = all_pairs.read(truth)
        read_predictions = _read_predictions(predictions, set(items.ids))
        evaluated = Evaluated(
            name, [], int(items.negatives.sum()), headline, (here, whole), pairs, read_predictions
        )
        evaluated.items = _mistakes(evaluated, items)
        found.append(evaluated)
    return found


def by_phrase(items: Iterable[Mistake], most: int) -> list[tuple[str, int, int, float]]:
    """Phrases with the most wrong items: (phrase, items, wrong ones, mean F1)."""
    groups: dict[str, list[Mistake]] = {}
    for item in items:
        if item.kind != NOT_HERE:
            groups.setdefault(item.pair.phrase, []).append(item)
    rows = [
        (plain(phrase), len(each), sum(i.kind in WRONG for i in each), _mean(each))
        for phrase, each in groups.items()
    ]
    rows = [row for row in rows if row[2]]
    return sorted(rows, key=lambda row: (-row[2], row[3], row[0]))[:most]


def by_size(items: Sequence[Mistake]) -> list[tuple[str, int, Counter[str], float]]:
    """By the mean size of the annotated masks: (size, items, number of each kind, mean F1)."""
    rows = []
    for _, size in SIZES:
        group = [item for item in items if item.size == size and item.kind != NOT_HERE]
        if group:
            rows.append((size, len(group), Counter(item.kind for item in group), _mean(group)))
    return rows


def _mean(items: Sequence[Mistake]) -> float:
    return sum(item.f1 for item in items) / len(items)


def _mistakes(evaluated: Evaluated, items: Items) -> list[Mistake]:
    known = {pair.id: pair for pair in evaluated.pairs.pairs}
    found = []
    for at, id_ in enumerate(items.ids):
        pair = known.get(id_)
        if pair is None:
            continue
        truth, predicted = int(items.truth[at]), int(items.predicted[at])
        total = truth + predicted
        f1 = float(2 * items.tp[at].mean() / total) if total else 1.0
        annotations = evaluated.pairs.of(pair)
        item = Mistake(evaluated.subset, pair, "", truth, predicted, f1, _size(annotations))
        item.kind = _kind(evaluated, item, bool(items.here[at]), int(items.tp[at][AT_75]))
        found.append(item)
    return found


def _kind(evaluated: Evaluated, item: Mistake, is_here: bool, hits: int) -> str:
    if not is_here:
        return NOT_HERE
    if not item.truth:
        return INVENTED if item.predicted else RIGHT
    if not item.predicted:
        return MISSED
    if item.predicted < item.truth and _is_merged(*evaluated.masks_of(item)):
        return MERGED
    if item.predicted != item.truth:
        return COUNT
    return RIGHT if hits == item.truth else LOW


def _is_merged(truth: Sequence[Mask], predicted: Sequence[Mask]) -> bool:
    """Whether one prediction covers most of two annotated masks or more."""
    for mask in predicted:
        covered = [(mask & each).sum() >= COVERED * each.sum() > 0 for each in truth]
        if sum(covered) > 1:
            return True
    return False


def _size(annotations: Sequence[Annotation]) -> str:
    areas = [area for each in annotations if (area := area_of(each)) is not None]
    if not areas:
        return NO_MASK
    mean = sum(areas) / len(areas)
    return next(name for end, name in SIZES if mean < end)


def _read_predictions(path: Path, wanted: set[Any]) -> dict[Any, list[Any]]:
    """The segmentations that count, by image id, as they are written."""
    found: dict[Any, list[Any]] = {}
    try:
        entries = msgspec.json.decode(path.read_bytes(), type=list[_Entry])
    except (OSError, msgspec.DecodeError) as error:
        raise _wrong(path, f"cannot be read ({error})") from error
    for each in entries:
        if each.score >= SCORE and each.image_id in wanted:
            found.setdefault(each.image_id, []).append(each.segmentation)
    return found


def _decoded(segmentations: Iterable[Any], pair: Pair) -> list[Mask]:
    masks = []
    for each in segmentations:
        try:
            masks.append(decode(value_of(each), int(pair.width), int(pair.height)))
        except DamagedMask:
            continue  # a shape that is not drawn here, such as polygons
    return masks


def _wrong(path: Path, what: str) -> UsageError:
    remedy = "Write the result again with `saco eval PRED --to FILE`"
    return UsageError(what, item=str(path), remedy=remedy)
