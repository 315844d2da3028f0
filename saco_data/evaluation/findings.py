"""What is wrong with a prediction file, grouped by kind, with the first five places of each.

An error is what the official evaluator crashes on or never ends on; a warning is what it takes in
silence, although it is hardly what was meant.
"""

from __future__ import annotations

from typing import Any

import msgspec

from saco_data.model.errors import UsageError
from saco_data.model.words import plain

SHOWN = 5

# kind: (is it an error, what happened, what to do)
KINDS: dict[str, tuple[bool, str, str]] = {
    "not_an_object": (True, "is not a JSON object", "Write a list of objects"),
    "no_image_id": (True, "has no image_id", "Give each entry the id of its image-NP"),
    "no_category": (True, "has no category_id", "Write category_id 1"),
    "no_score": (True, "has no score that is a number", "Write a number from 0 to 1"),
    "no_mask": (True, "has neither a segmentation nor a bbox", "Write an RLE as `segmentation`"),
    "bad_mask": (
        True,
        "has a segmentation that is not a mask",
        "Write {size: [h, w], counts: RLE}",
    ),
    "bad_box": (True, "has a bbox that is not four numbers", "Write [x, y, w, h]"),
    "some_boxes": (
        True,
        "lacks the bbox that the first entry of its image-NP has (or the reverse)",
        "Give a bbox to all entries of an image-NP, or to none",
    ),
    "broken_rle": (
        True,
        "has a damaged RLE; the official evaluator never ends on one",
        "Write the mask again; is the file cut or edited?",
    ),
    "not_in_every_gt": (
        True,
        "is of an image-NP that one of the ground truths lacks",
        "Give the ground truths of one subset",
    ),
    "no_image_size": (
        True,
        "is of an image-NP whose height and width the ground truth lacks",
        "Download the annotations again",
    ),
    "text_id": (
        True,
        'has its image id as text ("10" is not 10), which counts nothing',
        "Write the id as a number, as the ground truth has it",
    ),
    "unknown_image": (
        False,
        "is of an image id that the ground truth does not have: not counted",
        "Is this the prediction of another subset?",
    ),
    "left_out": (
        False,
        "is of an image-NP that is not annotated exhaustively: not counted",
        "Nothing: the official evaluator leaves these out too",
    ),
    "unknown_category": (
        False,
        "has a category that the ground truth does not have: not counted",
        "Write category_id 1",
    ),
    "nan_score": (False, "has the score NaN: not counted", "Write a number from 0 to 1"),
    "large_score": (False, "has a score above 1", "Write fractions, not percent: 0.5 is the cut"),
    "size_swapped": (
        False,
        "has height and width swapped: it matches nothing",
        "Write size as [height, width]",
    ),
    "size_differs": (
        False,
        "has another size than its picture: it matches nothing",
        "Scale the masks to the size of the annotations",
    ),
    "empty_mask": (False, "has an empty mask: it matches nothing", "Leave such entries out"),
    "matrix": (
        False,
        "has a matrix of numbers as its segmentation, which is read as polygons",
        "Write an RLE: `pycocotools.mask.encode`, or saco_data.Predictions",
    ),
    "short_runs": (
        False,
        "has uncompressed runs that do not fill the picture: it matches nothing",
        "Write the mask again",
    ),
    "box_as_mask": (
        False,
        "has no mask: its box is taken as one, in pixels",
        "Write an RLE as `segmentation`",
    ),
    "pixel_box": (
        False,
        "has a box in pixels; the ground truth has fractions: it matches nothing",
        "Divide by width and height, or let --lenient do it",
    ),
    "box_of_mask": (
        False,
        "has no box: one in pixels is made of the mask, it matches nothing",
        "Write boxes as fractions, or let --lenient make them",
    ),
    "duplicate": (False, "is written twice: counted as a false positive", "Write each mask once"),
    "no_entries": (
        False,
        "the file is an empty list: all counts as not found",
        "Did the model run?",
    ),
    "low_scores": (
        False,
        "all have a score below 0.5, and none counts",
        "Write probabilities; scale them so that 0.5 is the cut",
    ),
    "pixel_box_converted": (False, "had a box in pixels: converted to fractions", ""),
    "dropped": (False, "was dropped, because --lenient asks for it", ""),
}


class Finding(msgspec.Struct, omit_defaults=True):
    """One kind of fault: how often, and its first places: (position in the list, image id)."""

    kind: str
    count: int = 0
    first: list[tuple[int, int | float | str | None]] = []
    note: str = ""

    @property
    def is_error(self) -> bool:
        """Whether the file cannot be counted because of it."""
        return KINDS[self.kind][0]

    def in_words(self) -> str:
        """`3 entries: has no score ... First: entry 7 (image id 10), ... What to do.`"""
        _, what, remedy = KINDS[self.kind]
        places = ", ".join(
            f"entry {at}" + (f" (image id {plain(repr(image))[:60]})" if image is not None else "")
            for at, image in self.first
        )
        number = f"{self.count:,} {'entry' if self.count == 1 else 'entries'}"
        note = f" {self.note}." if self.note else ""
        remedy = f" {remedy}{'' if remedy.endswith('?') else '.'}" if remedy else ""
        more = "" if self.count <= len(self.first) else ", ..."
        where = f" {places}{more}." if places else ""
        return f"{number}: {what}.{where}{note}{remedy}"

    def as_json(self) -> dict[str, Any]:
        """Plain data: `kind`, `error`, `count`, `first`, `message`."""
        return {
            "kind": self.kind,
            "error": self.is_error,
            "count": self.count,
            "first": [{"position": at, "image_id": image} for at, image in self.first],
            "message": self.in_words(),
        }


class Findings:
    """Collects what is found in a file."""

    def __init__(self) -> None:
        self._by_kind: dict[str, Finding] = {}

    def add(self, kind: str, position: int, image: Any = None, note: str = "") -> None:
        """One more entry with this fault, at its position in the list (from 0)."""
        found = self._by_kind.setdefault(kind, Finding(kind, first=[]))
        found.count += 1
        found.note = found.note or note
        if len(found.first) < SHOWN:
            image = image if isinstance(image, int | float | str | None) else str(image)
            found.first.append((position, image))

    def add_of_file(self, kind: str, count: int) -> None:
        """A fault that so many entries have together, without a place."""
        self._by_kind[kind] = Finding(kind, count, [])

    def get(self, kind: str) -> Finding | None:
        """What is found of a kind, if anything."""
        return self._by_kind.get(kind)

    def all(self) -> list[Finding]:
        """Errors first, in the order of KINDS."""
        return [self._by_kind[kind] for kind in KINDS if kind in self._by_kind]

    @property
    def errors(self) -> list[Finding]:
        """Those that keep the file from being counted."""
        return [each for each in self.all() if each.is_error]


class PredictionError(UsageError):
    """A prediction file that cannot be counted; `findings` say why, by kind."""

    findings: list[Finding]

    def __init__(
        self,
        what: str,
        *,
        item: str = "",
        remedy: str = "",
        findings: list[Finding] | None = None,
    ) -> None:
        super().__init__(what, item=item, remedy=remedy)
        self.findings = findings or []


def refuse(path: Any, findings: list[Finding]) -> PredictionError:
    """The error for a file with these findings, each on a line of its own."""
    lines = "\n".join(
        f"  {'error' if each.is_error else 'warning'}: {each.in_words()}" for each in findings
    )
    count = sum(each.count for each in findings if each.is_error)
    return PredictionError(
        f"cannot be counted\n{lines}\nErrors: {count:,}",
        item=str(path),
        remedy="Correct these entries, or drop them with --lenient",
        findings=findings,
    )
