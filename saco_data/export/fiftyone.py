"""FiftyOne: a folder for each subset, for `Dataset.from_dir(..., dataset_type=FiftyOneDataset)`.

`<subset>/metadata.json`, `samples.json`, `data/`. A sample is a picture; `ground_truth` has a
detection with mask for each annotated mask, labelled by its phrase; `negative_phrases` lists those
that are not in it. Written in the JSON form that FiftyOne reads without its database's dump.
"""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from saco_data.dataset.item import Item, Picture
from saco_data.dataset.masks import Mask
from saco_data.export.counts import Counts
from saco_data.export.place import Place
from saco_data.export.source import Source


def write(place: Place, sources: Sequence[Source], one_class: bool) -> dict[str, Counts]:
    """Writes each subset; returns what was written."""
    return {source.manifest.id: _write(place, source) for source in sources}


def _write(place: Place, source: Source) -> Counts:
    counts = Counts()
    facts = source.facts()
    with place.open(f"{source.name}/samples.json") as file:
        file.write(b'{"samples": [')
        for picture in source.pictures():
            name = f"data/{picture.file_name}"
            place.put(f"{source.name}/{name}", picture.path)
            file.write(b",\n" if counts.pictures else b"\n")
            file.write(json.dumps(_sample(picture, name, facts)).encode())
            counts.add(picture)
        file.write(b"\n]}\n")
    notes = {"name": f"saco-{source.name}", "media_type": "image", "info": facts}
    place.write(f"{source.name}/metadata.json", json.dumps(notes, indent=1).encode())
    return counts


def _sample(picture: Picture, name: str, facts: dict[str, Any]) -> dict[str, Any]:
    first = picture.items[0]
    found = [each for item in picture.items for each in _detections(item)]
    partial = [] if facts["coverage"]["comparable"] else ["partial copy"]
    return {
        "filepath": name,
        "tags": ["test", *partial],
        "metadata": {"_cls": "ImageMetadata", "width": first.width, "height": first.height},
        "ground_truth": {"_cls": "Detections", "detections": found},
        "negative_phrases": [item.phrase for item in picture.items if item.is_negative],
        "image_nps": [str(item.id) for item in picture.items],
    }


def _detections(item: Item) -> list[dict[str, Any]]:
    found = []
    for mask, box in zip(item.masks, item.boxes, strict=True):
        detection: dict[str, Any] = {
            "_cls": "Detection",
            "attributes": {},
            "tags": [],
            "label": item.phrase,
            "image_np": str(item.id),
        }
        if mask.any():
            # FiftyOne stretches a mask over its box: both are cut at the mask's outermost pixels.
            rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
            top, left = int(rows[0]), int(columns[0])
            cut = mask[top : rows[-1] + 1, left : columns[-1] + 1]
            box = np.array([left, top, cut.shape[1], cut.shape[0]], float)
            detection["mask"] = _pack(cut)
        size = (item.width, item.height, item.width, item.height)
        found.append({**detection, "bounding_box": (box / size).tolist()})
    return found


def _pack(mask: Mask) -> dict[str, Any]:
    """A mask as FiftyOne stores arrays: NumPy's file format, deflated."""
    buffer = io.BytesIO()
    np.save(buffer, mask, allow_pickle=False)
    text = base64.b64encode(zlib.compress(buffer.getvalue())).decode()
    return {"$binary": {"base64": text, "subType": "00"}}
