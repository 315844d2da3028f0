"""YOLO segmentation: a text file a picture, a line a mask: class and polygon, as fractions.

`images/<subset>/`, `labels/<subset>/`, and `<subset>.yaml`, which names the classes. A polygon
cannot have parts or holes: they are joined by lines, so such masks are a little larger. Negative
phrases have no place in this format; the YAML file counts them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

import cv2
import numpy as np
import yaml
from numpy.typing import NDArray

from saco_data.dataset.masks import Mask
from saco_data.export.coco import ONE_CLASS
from saco_data.export.counts import Counts
from saco_data.export.place import Place
from saco_data.export.source import Source

Points = NDArray[np.int32]  # [n, 2]: x, y in pixels


def write(place: Place, sources: Sequence[Source], one_class: bool) -> dict[str, Counts]:
    """Writes each subset; returns what was written."""
    return {source.manifest.id: _write(place, source, one_class) for source in sources}


def _write(place: Place, source: Source, one_class: bool) -> Counts:
    counts = Counts()
    phrases = source.phrases()
    names = [ONE_CLASS] if one_class else list(phrases)
    negatives = 0
    for picture in source.pictures():
        name = f"{source.name}/{picture.file_name}"
        place.put(f"images/{name}", picture.path)
        lines = []
        for item in picture.items:
            negatives += item.is_negative
            number = 0 if one_class else phrases[item.phrase]
            lines += [
                f"{number} {_format(outline(mask), item.width, item.height)}\n"
                for mask in item.masks
                if mask.any()
            ]
        label = PurePosixPath(f"labels/{name}").with_suffix(".txt")
        place.write(str(label), "".join(lines).encode())
        counts.add(picture)
    content = {
        "path": ".",
        "train": f"images/{source.name}",
        "val": f"images/{source.name}",
        "test": f"images/{source.name}",
        "names": dict(enumerate(names)),
        "saco": {**source.facts(), "negative_phrases": negatives},
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    place.write(f"{source.name}.yaml", text.encode())
    return counts


def outline(mask: Mask) -> Points:
    """One polygon around all parts of a mask, int32 [n, 2], on the centres of its border pixels."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts = [np.asarray(part, np.int32).reshape(-1, 2) for part in found]
    joined = parts[0]
    for part in sorted(parts[1:], key=len, reverse=True):
        joined = _join(joined, part)
    return joined


def _join(one: Points, other: Points) -> Points:
    """Both polygons as one, with a line there and back between their nearest points."""
    # Every point of one would be too many against every point of the other.
    step = max(1, len(one) // 500)
    distances = ((one[::step, None] - other[None]) ** 2).sum(axis=2)
    row, to = divmod(int(distances.argmin()), len(other))
    at = row * step
    turned = np.roll(other, -to, axis=0)
    return np.concatenate([one[: at + 1], turned, turned[:1], one[at:]])


def _format(points: Points, width: int, height: int) -> str:
    """Coordinates as fractions: the middle of each pixel, so that readers that round hit it."""
    values = (points + 0.5) / (width, height)
    return " ".join(f"{value:.6f}" for value in values.ravel())
