"""WebDataset: tar files with, for each picture, the picture and a JSON file with all its phrases.

`<subset>-<number>.tar`; members `<number>.jpg` and `<number>.json`: `file_name`, `width`, `height`,
`items`: `id`, `phrase`, `boxes` in pixels (left, top, width, height), `masks` as compressed RLE.
"""

from __future__ import annotations

import io
import itertools
import json
import tarfile
from collections.abc import Iterator, Sequence
from typing import Any

from saco_data.dataset.item import Picture
from saco_data.export.counts import Counts
from saco_data.export.place import Place
from saco_data.export.source import Source, rles_of

SHARD = 5000  # pictures


def write(place: Place, sources: Sequence[Source], one_class: bool) -> dict[str, Counts]:
    """Writes each subset; returns what was written."""
    return {source.manifest.id: _write(place, source) for source in sources}


def _write(place: Place, source: Source) -> Counts:
    counts = Counts()
    coverage = source.coverage.as_json()
    pictures = enumerate(source.pictures())
    for shard in itertools.count():
        chosen = list(itertools.islice(pictures, SHARD))
        if not chosen and shard:
            break
        with (
            place.open(f"{source.name}-{shard:06d}.tar") as file,
            tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar,
        ):
            for number, picture in chosen:
                for name, content in _members(number, picture, coverage, counts):
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    return counts


def _members(
    number: int, picture: Picture, coverage: dict[str, Any], counts: Counts
) -> Iterator[tuple[str, bytes]]:
    described = describe(picture)
    counts.add(picture)
    suffix = picture.path.suffix.lower().lstrip(".") or "jpg"
    yield f"{number:09d}.{suffix}", picture.path.read_bytes()
    yield f"{number:09d}.json", json.dumps({**described, "coverage": coverage}).encode()


def describe(picture: Picture) -> dict[str, Any]:
    """A picture with all its phrases as plain data."""
    first = picture.items[0]
    return {
        "file_name": picture.file_name,
        "width": first.width,
        "height": first.height,
        "items": [
            {
                "id": item.id,
                "phrase": item.phrase,
                "boxes": item.boxes.tolist(),
                "masks": rles_of(item),
            }
            for item in picture.items
        ],
    }
