"""Parquet for Hugging Face `datasets`: `load_dataset(FOLDER, SUBSET)`, a row a picture.

`<subset>/test-<number>.parquet` and a README.md whose head names the subsets. Features: `image`,
`file_name`, `width`, `height`, `items`: `id`, `phrase`, `boxes` in pixels, `masks` as RLE.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import yaml

from saco_data.export.counts import Counts
from saco_data.export.place import Place
from saco_data.export.source import Source
from saco_data.export.webdataset import describe

if TYPE_CHECKING:
    import pyarrow

SHARD = 5000  # pictures
BATCH = 100  # pictures in a row group


def write(place: Place, sources: Sequence[Source], one_class: bool) -> dict[str, Counts]:
    """Writes each subset; returns what was written."""
    counts = {source.manifest.id: _write(place, source) for source in sources}
    place.write("README.md", _describe(sources).encode())
    return counts


def _write(place: Place, source: Source) -> Counts:
    import pyarrow as pa
    from pyarrow import parquet

    counts = Counts()
    # Ids are whole numbers in the official files.
    has_numbers = all(type(item.id) is int for item in source.subset)
    schema = _schema(has_numbers, source)
    rows = _rows(source, counts, has_numbers)
    for shard in itertools.count():
        chosen = itertools.islice(rows, SHARD)
        batch = list(itertools.islice(chosen, BATCH))
        if not batch and shard:
            break
        with (
            place.open(f"{source.name}/test-{shard:05d}.parquet") as file,
            parquet.ParquetWriter(file, schema, compression="zstd") as writer,
        ):
            while batch:
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
                batch = list(itertools.islice(chosen, BATCH))
    return counts


def _rows(source: Source, counts: Counts, has_numbers: bool) -> Iterator[dict[str, Any]]:
    for picture in source.pictures():
        row = describe(picture)
        if not has_numbers:
            for item in row["items"]:
                item["id"] = str(item["id"])
        row["image"] = {"bytes": picture.path.read_bytes(), "path": picture.file_name}
        counts.add(picture)
        yield row


def _schema(has_numbers: bool, source: Source) -> pyarrow.Schema:
    """The columns, with the features as `datasets` reads them from the file's metadata."""
    import pyarrow as pa

    key, name = (pa.int64(), "int64") if has_numbers else (pa.string(), "string")
    mask = pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])
    item = pa.struct(
        [
            ("id", key),
            ("phrase", pa.string()),
            ("boxes", pa.list_(pa.list_(pa.float64()))),
            ("masks", pa.list_(mask)),
        ]
    )
    features = {
        "image": {"_type": "Image"},
        "file_name": _value("string"),
        "width": _value("int32"),
        "height": _value("int32"),
        "items": [
            {
                "id": _value(name),
                "phrase": _value("string"),
                "boxes": [[_value("float64")]],
                "masks": [{"size": [_value("int32")], "counts": _value("string")}],
            }
        ],
    }
    return pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("file_name", pa.string()),
            ("width", pa.int32()),
            ("height", pa.int32()),
            ("items", pa.list_(item)),
        ],
        metadata={
            "huggingface": json.dumps({"info": {"features": features}}),
            "saco": json.dumps(source.facts()),
        },
    )


def _value(dtype: str) -> dict[str, str]:
    return {"dtype": dtype, "_type": "Value"}


def _describe(sources: Sequence[Source]) -> str:
    """The README: the subsets for `load_dataset`, and for people licence, citation, coverage."""
    head = {
        "configs": [
            {
                "config_name": source.name,
                "data_files": [{"split": "test", "path": f"{source.name}/test-*.parquet"}],
            }
            for source in sources
        ]
    }
    parts = [
        f"## {source.name}\n\n{source.manifest.title}. {source.coverage.in_words()}.\n\n"
        f"Licence: {source.manifest.licence}. Citation: {source.manifest.citation}.\n"
        for source in sources
    ]
    return "\n".join([f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n", *parts])
