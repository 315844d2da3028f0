"""Croissant: `croissant.json` describes the copy for search engines and loaders, with licences.

Beside it are the files that it describes: the pictures in `images/<subset>/`, and two tables as
Parquet, `<subset>-image-nps.parquet` and `<subset>-masks.parquet`. Each table is a record set.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from saco_data.export.counts import Counts
from saco_data.export.place import Place
from saco_data.export.source import Source, rles_of

if TYPE_CHECKING:
    import pyarrow

ROWS = 10_000  # in a row group
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def write(place: Place, sources: Sequence[Source], one_class: bool) -> dict[str, Counts]:
    """Writes the description and the files of each subset; returns what was written."""
    counts = {}
    distribution: list[dict[str, Any]] = []
    records: list[dict[str, Any]] = []
    for source in sources:
        counts[source.manifest.id] = done = Counts()
        pairs, masks = _Table(_pairs_schema()), _Table(_masks_schema())
        _read(place, source, pairs, masks, done)
        distribution.append(_describe_pictures(source))
        for name, table, what in (
            ("image-nps", pairs, "A picture and a noun phrase each."),
            ("masks", masks, "A mask each, as run lengths of COCO. Boxes in pixels."),
        ):
            file = f"{source.name}-{name}.parquet"
            content = table.finish()
            place.write(file, content)
            distribution.append(_describe_file(file, content, source))
            records.append(_record_set(f"{source.name}-{name}", what, file, table.schema))
    description = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "saco-copy",
        "description": "A prepared copy of SA-Co subsets. "
        + " ".join(f"{each.name}: {each.coverage.in_words()}." for each in sources),
        "version": "1.0.0",
        "license": sorted({each.manifest.licence for each in sources}),
        "citeAs": "; ".join(f"{each.name}: {each.manifest.citation}" for each in sources),
        "url": sources[0].manifest.access.page,
        "datePublished": "2025-11-19",
        "isLiveDataset": False,
        "distribution": distribution,
        "recordSet": records,
    }
    place.write("croissant.json", json.dumps(description, indent=1).encode())
    return counts


class _Table:
    """A table as Parquet in memory, which is some hundred times smaller than its pictures."""

    def __init__(self, schema: pyarrow.Schema) -> None:
        from pyarrow import parquet

        self.schema = schema
        self._buffer = io.BytesIO()
        self._writer = parquet.ParquetWriter(self._buffer, schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        """Adds a row."""
        self._rows.append(row)
        if len(self._rows) == ROWS:
            self._flush()

    def finish(self) -> bytes:
        """The whole file."""
        self._flush()
        self._writer.close()
        return self._buffer.getvalue()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_batch(pa.RecordBatch.from_pylist(self._rows, schema=self.schema))
        self._rows.clear()


def _pairs_schema() -> pyarrow.Schema:
    import pyarrow as pa

    texts, numbers = ("id", "file_name", "phrase"), ("width", "height")
    columns = [(name, pa.string()) for name in texts] + [(name, pa.int64()) for name in numbers]
    return pa.schema(columns)


def _masks_schema() -> pyarrow.Schema:
    import pyarrow as pa

    numbers = ("left", "top", "box_width", "box_height")
    return pa.schema(
        [
            ("image_np", pa.string()),
            *((name, pa.float64()) for name in numbers),
            ("height", pa.int64()),
            ("width", pa.int64()),
            ("counts", pa.string()),
        ]
    )


def _read(place: Place, source: Source, pairs: _Table, masks: _Table, counts: Counts) -> None:
    """Puts the pictures into their place, and fills the two tables."""
    for picture in source.pictures():
        place.put(f"images/{source.name}/{picture.file_name}", picture.path)
        counts.add(picture)
        for item in picture.items:
            pairs.add(
                {
                    "id": str(item.id),
                    "file_name": item.file_name,
                    "phrase": item.phrase,
                    "width": item.width,
                    "height": item.height,
                }
            )
            for box, mask in zip(item.boxes.tolist(), rles_of(item), strict=True):
                left, top, width, height = box
                masks.add(
                    {
                        "image_np": str(item.id),
                        "left": left,
                        "top": top,
                        "box_width": width,
                        "box_height": height,
                        "height": mask["size"][0],
                        "width": mask["size"][1],
                        "counts": mask["counts"],
                    }
                )


def _describe_pictures(source: Source) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{source.name}-images",
        "name": f"{source.name}-images",
        "description": f"Pictures. Licence: {source.manifest.licence}",
        "encodingFormat": "image/jpeg",
        "includes": f"images/{source.name}/**",
    }


def _describe_file(name: str, content: bytes, source: Source) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": source.coverage.in_words(),
        "contentUrl": name,
        "encodingFormat": "application/x-parquet",
        "contentSize": f"{len(content)} B",
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def _record_set(name: str, description: str, file: str, schema: pyarrow.Schema) -> dict[str, Any]:
    kinds = {"string": "sc:Text", "int64": "sc:Integer", "double": "sc:Float"}
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": description,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column.name}",
                "name": column.name,
                "description": column.name.replace("_", " "),
                "dataType": kinds[str(column.type)],
                "source": {"fileObject": {"@id": file}, "extract": {"column": column.name}},
            }
            for column in schema
        ],
    }
