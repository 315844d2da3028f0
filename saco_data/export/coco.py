"""Standard COCO: an entry in `images` is a picture, a category is a phrase, boxes are in pixels.

`annotations/<subset>.json` and `images/<subset>/`. SA-Co's own files look like COCO, but have one
entry in `images` for each phrase and boxes as fractions, which other tools read wrongly in silence.
Negative phrases are in `neg_category_ids` of their picture, as in LVIS.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO

from saco_data.dataset.item import Picture
from saco_data.export.counts import Counts
from saco_data.export.place import Place
from saco_data.export.source import Source, area_of, rles_of

ONE_CLASS = "object"


def write(place: Place, sources: Sequence[Source], one_class: bool) -> dict[str, Counts]:
    """Writes each subset; returns what was written."""
    return {source.manifest.id: _write(place, source, one_class) for source in sources}


def _write(place: Place, source: Source, one_class: bool) -> Counts:
    counts = Counts()
    phrases = source.phrases()
    categories = {ONE_CLASS: 0} if one_class else phrases
    numbers = dict.fromkeys(phrases, 1) if one_class else {k: n + 1 for k, n in phrases.items()}
    facts = source.facts()
    with place.open(f"annotations/{source.name}.json") as file:
        info = {"description": source.manifest.title, "version": "1", "saco": facts}
        licence = {"id": 1, "name": source.manifest.licence, "url": source.manifest.access.page}
        kinds = [
            {"id": number + 1, "name": name, "supercategory": ONE_CLASS}
            for name, number in categories.items()
        ]
        file.write(b'{"info": ' + _dump(info) + b', "licenses": ' + _dump([licence]))
        file.write(b',\n"categories": ' + _dump(kinds) + b',\n"images": ')
        images = _images(place, source, numbers, one_class, counts)
        _write_list(file, images)
        file.write(b',\n"annotations": ')
        _write_list(file, _annotations(source, numbers, counts))
        file.write(b"}\n")
    return counts


def _images(
    place: Place, source: Source, numbers: dict[str, int], one_class: bool, counts: Counts
) -> Iterator[dict[str, Any]]:
    for number, picture in enumerate(source.pictures(), 1):
        first = picture.items[0]
        place.put(f"images/{source.name}/{picture.file_name}", picture.path)
        counts.pictures += 1
        counts.image_nps += len(picture.items)
        yield {
            "id": number,
            "file_name": picture.file_name,
            "width": first.width,
            "height": first.height,
            "license": 1,
            "neg_category_ids": [] if one_class else _negatives(picture, numbers),
            "image_nps": [{"id": item.id, "phrase": item.phrase} for item in picture.items],
        }


def _negatives(picture: Picture, numbers: dict[str, int]) -> list[int]:
    return sorted({numbers[item.phrase] for item in picture.items if item.is_negative})


def _annotations(
    source: Source, numbers: dict[str, int], counts: Counts
) -> Iterator[dict[str, Any]]:
    for number, picture in enumerate(source.pictures(), 1):
        for item in picture.items:
            for mask, box in zip(rles_of(item), item.boxes.tolist(), strict=True):
                counts.masks += 1
                yield {
                    "id": counts.masks,
                    "image_id": number,
                    "category_id": numbers[item.phrase],
                    "bbox": box,
                    "area": area_of(mask),
                    "segmentation": mask,
                    "iscrowd": 0,
                    "image_np": item.id,
                }


def _write_list(file: BinaryIO, entries: Iterable[dict[str, Any]]) -> None:
    separator = b"[\n"
    for entry in entries:
        file.write(separator + _dump(entry))
        separator = b",\n"
    file.write(b"]" if separator == b",\n" else b"[]")


def _dump(value: object) -> bytes:
    return json.dumps(value).encode()
