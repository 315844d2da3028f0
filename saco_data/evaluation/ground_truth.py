"""A ground truth file as the official evaluator understands it: which image-NPs count, which masks.

Read through `dataset.raw_json`, as all annotation files are. What the official evaluator crashes on
or would never end on is an AnnotationError that names the entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from saco_data.dataset import raw_json
from saco_data.evaluation import rle_check
from saco_data.evaluation.ids import Ids
from saco_data.evaluation.json_slices import NotAnArray, reader_of, slices
from saco_data.evaluation.segmentations import BadSegmentation, Box, Rle, Side, box_of, rle_of
from saco_data.model.errors import AnnotationError
from saco_data.model.words import plain
from saco_data.storage import untrusted_json

_AGAIN = "Download it again with `saco annotations`, or correct the entry"
_BATCH = 2000  # masks that are checked together

Shape = Rle | Box  # what is compared: masks, or boxes as fractions of the picture


class _Image(msgspec.Struct, gc=False):
    id: int
    is_instance_exhaustive: int | bool | None
    height: Side
    width: Side
    file_name: str = ""
    original_video: str | None = None


class _Rle(msgspec.Struct, gc=False):
    size: tuple[Side, Side]
    counts: str


class _Annotation(msgspec.Struct, gc=False):
    id: int
    image_id: int
    category_id: int
    iscrowd: int | bool
    segmentation: _Rle
    bbox: tuple[float, float, float, float]


@dataclass(frozen=True)
class _Mask:
    """An annotation: its id, the position of its image, its category, crowd or not, its shape."""

    id: Any
    image: int
    category: Any
    is_crowd: bool
    shape: Shape | None


@dataclass
class GroundTruth:
    """Which image-NPs are evaluated and what is in them.

    `entries`: position in `ids` of each evaluated entry, in file order (an id that is written
    twice is evaluated twice). `is_evaluated`, `height`, `width` (-1: not known) and `unit` go by
    that position; `unit` numbers the pictures or videos, `units` of them. `shapes`: what is
    annotated, by position, crowds left out, in the order in which the official evaluator takes
    them. `flagged_out`: ids that are here but not annotated exhaustively.
    """

    path: Path
    sha256: str
    ids: Ids
    entries: NDArray[np.int64]
    is_evaluated: NDArray[np.bool_]
    height: NDArray[np.int32]
    width: NDArray[np.int32]
    unit: NDArray[np.int32]
    units: int
    unit_kind: str
    categories: frozenset[Any]
    shapes: dict[int, list[Shape]] = field(default_factory=dict)
    is_checked: bool = False

    def size(self, position: int) -> tuple[int | None, int | None]:
        """Height and width of an image in pixels, None where the file does not say."""
        height, width = int(self.height[position]), int(self.width[position])
        return (height, width) if height >= 0 and width >= 0 else (None, None)

    @property
    def masks(self) -> int:
        """The number of masks in evaluated entries."""
        counts = np.zeros(len(self.ids), np.int64)
        for at, each in self.shapes.items():
            counts[at] = len(each)
        return int(counts[self.entries].sum())


def read(
    path: Path, iou_type: str = "segm", *, is_checked: bool = False, sha: str = ""
) -> GroundTruth:
    """Reads a ground truth for masks ("segm") or boxes ("bbox"). Raises AnnotationError.

    `is_checked`: its runs were found whole before; `sha`: its sha256 where that is known.
    """
    document = raw_json.read(path)
    sha = sha or hashlib.sha256(document.content).hexdigest()
    truth = _read_images(path, sha, document.members)
    if not len(truth.entries):
        raise AnnotationError(
            "has no image-NP that is annotated exhaustively (is_instance_exhaustive)",
            item=str(path),
            remedy=_AGAIN,
        )
    masks = _read_annotations(truth, document.members["annotations"], iou_type)
    del document
    _group(truth, masks)
    if iou_type == "segm" and not is_checked:
        _check_runs(truth)
    truth.is_checked = True
    return truth


def _read_images(path: Path, sha: str, members: dict[str, msgspec.Raw]) -> GroundTruth:
    ids: list[Any] = []
    flags: list[NDArray[np.bool_]] = []
    heights: list[NDArray[np.int32]] = []
    widths: list[NDArray[np.int32]] = []
    names: dict[str, int] = {}
    unit: list[int] = []
    videos = False
    for first, batch in _batches(members["images"], _Image, path, "images"):
        images = batch
        if isinstance(batch[0], dict):
            images = [_image(path, first + at, each) for at, each in enumerate(batch)]
        ids.append(_as_array([each.id for each in images]))
        flags.append(np.array([bool(each.is_instance_exhaustive) for each in images]))
        heights.append(np.array([each.height for each in images], np.int32))
        widths.append(np.array([each.width for each in images], np.int32))
        videos = videos or any(each.original_video for each in images)
        # A picture without a name stands alone.
        unit += [
            names.setdefault(each.original_video or each.file_name or f"\0{at}", len(names))
            for at, each in enumerate(images, first)
        ]
    known: Any = [] if not ids else ids[0] if len(ids) == 1 else _joined(ids)
    found = Ids(known)
    of_entries = found.of_entries
    flag = np.concatenate(flags) if flags else np.zeros(0, bool)
    size = np.full((len(found), 2), -1, np.int32)
    units = np.zeros(len(found), np.int32)
    evaluated = np.zeros(len(found), bool)
    if len(of_entries):
        # Of an id that is written twice the last size counts.
        size[of_entries] = np.column_stack([np.concatenate(heights), np.concatenate(widths)])
        units[of_entries[::-1]] = np.array(unit, np.int32)[::-1]
        evaluated[of_entries[flag]] = True
    return GroundTruth(
        path,
        sha,
        found,
        of_entries[flag],
        evaluated,
        size[:, 0],
        size[:, 1],
        units,
        len(names),
        "video" if videos else "picture",
        _categories(path, members),
    )


def _as_array(ids: list[Any]) -> Any:
    """Whole numbers as an array; other ids as they are."""
    if not all(type(each) is int for each in ids):
        return ids
    try:
        return np.array(ids, np.int64)
    except OverflowError:
        return ids


def _joined(parts: list[Any]) -> Any:
    if all(isinstance(each, np.ndarray) for each in parts):
        return np.concatenate(parts)
    return [each for part in parts for each in (part if isinstance(part, list) else part.tolist())]


def _categories(path: Path, members: dict[str, msgspec.Raw]) -> frozenset[Any]:
    try:
        found = msgspec.json.decode(members["categories"])
        return frozenset(each["id"] for each in found)
    except (KeyError, TypeError, msgspec.DecodeError) as error:
        raise AnnotationError(
            "has no `categories` with ids", item=str(path), remedy=_AGAIN
        ) from error


def _image(path: Path, number: int, image: dict[str, Any]) -> Any:
    """An image of unusual form, with the attributes of `_Image`."""
    for key in ("id", "is_instance_exhaustive"):
        if key not in image:
            raise AnnotationError(f"images[{number}] has no {key}", item=str(path), remedy=_AGAIN)
    size = [image.get(key) for key in ("height", "width")]
    known = all(isinstance(each, int | float) and 0 <= each < 1 << 31 for each in size)
    height, width = (int(each) for each in size) if known else (-1, -1)  # type: ignore[arg-type]
    if not isinstance(image["id"], int | float | str):
        raise AnnotationError(f"images[{number}] has no id", item=str(path), remedy=_AGAIN)
    video = image.get("original_video")
    return _Unusual(
        image["id"],
        bool(image["is_instance_exhaustive"]),
        height,
        width,
        str(image.get("file_name", "")),
        video if isinstance(video, str) else None,
    )


@dataclass(frozen=True)
class _Unusual:
    id: Any
    is_instance_exhaustive: bool
    height: int
    width: int
    file_name: str
    original_video: str | None


def _read_annotations(truth: GroundTruth, raw: msgspec.Raw, iou_type: str) -> list[_Mask]:
    masks: list[_Mask] = []
    boxes = iou_type == "bbox"
    for first, batch in _batches(raw, _Annotation, truth.path, "annotations"):
        if isinstance(batch[0], dict):
            masks += _unusual_masks(truth, first, batch, boxes)
            continue
        positions = truth.ids.positions([each.image_id for each in batch])
        wanted = (positions >= 0) & truth.is_evaluated[positions]
        for each, at, counts in zip(batch, positions.tolist(), wanted.tolist(), strict=True):
            shape: Shape | None = None
            if counts:
                rle = each.segmentation
                shape = each.bbox if boxes else Rle(rle.size[0], rle.size[1], rle.counts)
            masks.append(_Mask(each.id, at, each.category_id, bool(each.iscrowd), shape))
    return masks


def _unusual_masks(
    truth: GroundTruth, first: int, batch: list[dict[str, Any]], boxes: bool
) -> Iterator[_Mask]:
    for number, each in enumerate(batch, first):
        for key in ("id", "image_id", "category_id"):
            if not isinstance(each.get(key), int | float | str):
                raise _wrong(truth, number, each, f"has no {key}")
        at = int(truth.ids.positions([each["image_id"]])[0])
        crowd, shape = False, None
        if at >= 0 and truth.is_evaluated[at] and each["category_id"] in truth.categories:
            if not isinstance(each.get("iscrowd"), int | float):
                hint = " (`is_crowd` is not read)" if "is_crowd" in each else ""
                raise _wrong(truth, number, each, f"has no iscrowd{hint}")
            crowd = bool(each["iscrowd"])
            shape = _shape(truth, number, each, at, boxes)
        yield _Mask(each["id"], at, each["category_id"], crowd, shape)


def _shape(
    truth: GroundTruth, number: int, annotation: dict[str, Any], at: int, boxes: bool
) -> Shape:
    if boxes:
        box = box_of(annotation.get("bbox"))
        if box is None:
            raise _wrong(truth, number, annotation, "has a bbox that is not four numbers")
        return box
    height, width = truth.size(at)
    if height is None:
        raise _wrong(truth, number, annotation, "is of an image without height and width")
    try:
        return rle_of(annotation.get("segmentation"), height, width)
    except BadSegmentation as error:
        raise _wrong(truth, number, annotation, f"has no mask: {error}") from error


def _wrong(
    truth: GroundTruth, number: int, annotation: dict[str, Any], what: str
) -> AnnotationError:
    name = plain(str(annotation.get("id")))[:60]
    return AnnotationError(
        f"annotations[{number}] (id {name}) {what}", item=str(truth.path), remedy=_AGAIN
    )


def _group(truth: GroundTruth, masks: list[_Mask]) -> None:
    """Fills `shapes`: by image, then category in ascending order, then the order of the file."""
    last = {each.id: each for each in masks}
    repeats = len(last) != len(masks)
    groups: dict[int, list[_Mask]] = {}
    for each in masks:
        # Of an annotation id that is written twice the last counts; where it is of another
        # image, the first one's image has nothing for it.
        mask = last[each.id] if repeats else each
        if mask.image != each.image or mask.shape is None:
            continue
        if mask.category in truth.categories and not mask.is_crowd:
            groups.setdefault(each.image, []).append(mask)
    for at, group in groups.items():
        if len(group) > 1:
            group.sort(key=lambda mask: mask.category)
        truth.shapes[at] = [mask.shape for mask in group if mask.shape is not None]


def _check_runs(truth: GroundTruth) -> None:
    shapes = [(at, each) for at, group in truth.shapes.items() for each in group]
    for start in range(0, len(shapes), _BATCH):
        part = [(at, each) for at, each in shapes[start : start + _BATCH] if isinstance(each, Rle)]
        verdicts = rle_check.check(
            [each.counts for _, each in part], [each.height * each.width for _, each in part]
        )
        for at in np.flatnonzero(verdicts)[:1]:
            name = plain(str(truth.ids.value(part[at][0])))
            raise AnnotationError(
                f"a mask of image id {name} is damaged: {rle_check.WORDS[int(verdicts[at])]}",
                item=str(truth.path),
                remedy=_AGAIN,
            )


def _batches(
    raw: msgspec.Raw, kind: type[Any], path: Path, key: str
) -> Iterator[tuple[int, list[Any]]]:
    """(number of the first, entries of `kind`, or dictionaries where one is of unusual form)."""
    decoder = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]
    first = 0
    try:
        for text in slices(reader_of(memoryview(raw))):
            entries: list[Any]
            try:
                entries = decoder.decode(text)
            except msgspec.ValidationError:
                entries = msgspec.json.decode(text)
                entries = [_object(each, path, key, first + n) for n, each in enumerate(entries)]
            if entries:
                yield first, entries
            first += len(entries)
        return
    except (NotAnArray, msgspec.DecodeError):
        whole = untrusted_json.parse(bytes(raw))
    if not isinstance(whole, list):
        raise AnnotationError(f"`{key}` is not a list", item=str(path), remedy=_AGAIN)
    rest = [_object(each, path, key, at) for at, each in enumerate(whole)][first:]
    if rest:
        yield first, rest


def _object(entry: Any, path: Path, key: str, number: int) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise AnnotationError(f"{key}[{number}] is not an object", item=str(path), remedy=_AGAIN)
    return entry
