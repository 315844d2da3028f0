"""One entry of a prediction file that is not of the usual form: what it counts as, what is wrong.

The rules are those of `pycocotools.loadRes` and the official evaluator; `findings.KINDS` says
which faults are errors and which warnings.
"""

from __future__ import annotations

from typing import Any

from saco_data.evaluation.findings import Findings
from saco_data.evaluation.ground_truth import GroundTruth, Shape
from saco_data.evaluation.segmentations import (
    BadSegmentation,
    Box,
    Rle,
    box_of,
    coco,
    fills,
    meets,
    polygon_of,
    rle_of,
)

_PIXELS = 1.5  # a coordinate above this is no fraction of a picture

Taken = tuple[int, Any, float, Shape | None]


class Checker:
    """Looks at entries in the order of the file and notes what is wrong.

    The first of several ground truths says which image-NPs there are.
    """

    def __init__(
        self, truths: list[GroundTruth], iou_type: str, findings: Findings, *, lenient: bool
    ) -> None:
        self.truth = truths[0]
        self.others = truths[1:]
        self.boxes = iou_type == "bbox"
        self.findings = findings
        self.lenient = lenient
        self.categories = frozenset().union(*(truth.categories for truth in truths))
        # Whether the first entry of an image-NP has a bbox: pycocotools goes by it for all.
        self._has_box: dict[int, bool] = {}

    def entry(self, number: int, entry: Any) -> Taken | None:
        """(position of the image-NP, category, score, shape) of an entry that is evaluated.

        The shape is None where the entry cannot be counted; None in all for an entry that the
        official evaluator passes over too.
        """
        add = self.findings.add
        if not isinstance(entry, dict):
            add("not_an_object", number)
            return -1, None, 0.0, None
        image = entry.get("image_id")
        if not isinstance(image, int | float | str):
            add("no_image_id", number)
            return -1, None, 0.0, None
        at = int(self.truth.ids.positions([image])[0])
        if at < 0 and isinstance(image, str) and not self.truth.ids.has_text:
            add("text_id", number, image)
            return -1, None, 0.0, None
        if at < 0:
            add("unknown_image", number, image)
            return None
        if not self.truth.is_evaluated[at]:
            add("left_out", number, image)
            return None
        refused = (at, None, 0.0, None)
        if not self.is_placed(number, image, at, _has_box(entry)):
            return refused
        category = entry.get("category_id")
        if not isinstance(category, int | float | str):
            add("no_category", number, image)
            return refused
        score = entry.get("score")
        if not isinstance(score, int | float):
            add("no_score", number, image)
            return refused
        shape = self._shape(number, image, at, entry)
        if shape is None:
            return refused
        if category not in self.categories:
            add("unknown_category", number, image)
            return None
        if score != score:
            add("nan_score", number, image)
        elif score > 1:
            add("large_score", number, image)
        return at, category, score, shape

    def is_placed(self, number: int, image: Any, at: int, has_box: bool) -> bool:
        """Whether an entry of this image-NP can be counted beside the others of it."""
        first = self._has_box.setdefault(at, has_box)
        if first and not has_box:
            self.findings.add("some_boxes", number, image)
            return False
        if not self.boxes and self.truth.height[at] < 0:
            self.findings.add("no_image_size", number, image)
            return False
        for other in self.others:
            if other.ids.positions([image])[0] < 0:
                note = f"It is not in {other.path.name}"
                self.findings.add("not_in_every_gt", number, image, note)
                return False
        return True

    def look_at_size(self, number: int, image: Any, at: int, rle: Rle) -> None:
        """Notes a mask that has not the size of its picture, or is empty."""
        height, width = self.truth.size(at)
        if not rle["counts"]:
            self.findings.add("empty_mask", number, image)
        if height is None or rle["size"] == (height, width):
            return
        kind = "size_swapped" if rle["size"] == (width, height) else "size_differs"
        note = f"The first: {list(rle['size'])} where the picture is [{height}, {width}]"
        self.findings.add(kind, number, image, note)

    def box(self, number: int, image: Any, at: int, box: Box | None, rle: Rle | None) -> Box:
        """The box of an entry; of one without, the box around its mask, as pycocotools does."""
        height, width = self.truth.size(at)
        if box is None:
            assert rle is not None
            x, y, w, h = map(float, coco().toBbox(rle))
            if self.lenient and height and width:
                self.findings.add("pixel_box_converted", number, image)
                return x / width, y / height, w / width, h / height
            self.findings.add("box_of_mask", number, image)
            return x, y, w, h
        if max(box) > _PIXELS:
            if self.lenient and height and width:
                self.findings.add("pixel_box_converted", number, image)
                return box[0] / width, box[1] / height, box[2] / width, box[3] / height
            self.findings.add("pixel_box", number, image)
        return box

    def _shape(self, number: int, image: Any, at: int, entry: dict[str, Any]) -> Shape | None:
        """The mask or box that is compared; None, with a finding, where there is none."""
        add = self.findings.add
        if not _has_box(entry) and "segmentation" not in entry:
            add("no_mask", number, image)
            return None
        box = box_of(entry["bbox"]) if _has_box(entry) else None
        if _has_box(entry) and box is None:
            add("bad_box", number, image)
            return None
        if self.boxes and box is not None:
            return self.box(number, image, at, box, None)
        height, width = self.truth.size(at)
        segmentation = entry.get("segmentation")
        is_rle = isinstance(segmentation, dict) and isinstance(segmentation.get("counts"), str)
        if box is None and not is_rle:
            add("bad_mask", number, image, "Without a bbox only compressed RLE is taken")
            return None
        if "segmentation" not in entry and box is not None:
            add("box_as_mask", number, image)
            segmentation = polygon_of(box)
        try:
            rle = rle_of(segmentation, height, width)
        except BadSegmentation as error:
            add("bad_mask", number, image, f"The first: {error}")
            return None
        if not self._can_be_compared(number, image, at, rle, is_rle):
            return None
        if self.boxes:
            return self.box(number, image, at, None, rle)
        self.look_at_size(number, image, at, rle)
        return rle

    def _can_be_compared(self, number: int, image: Any, at: int, rle: Rle, is_rle: bool) -> bool:
        if fills(rle):
            return True
        truths = [
            each
            for truth in (self.truth, *self.others)
            for each in truth.shapes.get(int(truth.ids.positions([image])[0]), [])
            if isinstance(each, dict)
        ]
        if is_rle or meets(rle, truths):
            self.findings.add("broken_rle", number, image)
            return False
        self.findings.add("short_runs", number, image)
        return True


def _has_box(entry: dict[str, Any]) -> bool:
    return "bbox" in entry and entry["bbox"] != []
