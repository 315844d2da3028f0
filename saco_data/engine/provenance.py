"""The origin of every finished file: `annotations/provenance.parquet` of each collection.

One row a file. Written in batches of `ROWS`, so that memory stays bounded, and only when the ledger
changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from saco_data.catalog.licences import licence_of
from saco_data.catalog.manifest import DEFAULT_COLLECTION
from saco_data.config.settings import Settings
from saco_data.model.items import Item
from saco_data.model.outside import without_secrets
from saco_data.state.damage import describe_damage
from saco_data.state.ledger import Ledger
from saco_data.storage import files, folders
from saco_data.storage.files import stamp

if TYPE_CHECKING:
    import pyarrow

FILE_NAME = "provenance.parquet"
# In the state folder: the state of the ledger that the file of the default collection was made
# from; those of other collections have the name of the collection before the last dot.
NOTE = "provenance.json"
FORMAT = 1  # raised when the columns change
ROWS = 50_000  # in memory at a time
# Facts of a file or its video that name the version that was fetched.
_VERSION = ("etag", "version_id", "generation", "format_id", "verified")
_DECODER = ("av", "libavformat", "libavcodec", "libswscale")


def path_of(settings: Settings, collection: str = DEFAULT_COLLECTION) -> Path:
    """The path of the provenance file of a collection."""
    ids = settings.registry.collections[collection].ids
    return settings.subset(ids[0]).root / "annotations" / FILE_NAME


def write_all(settings: Settings, ledger: Ledger) -> list[Path]:
    """Writes the file of every collection that has finished files; returns those written.

    Raises as `write`.
    """
    collections = [each.name for each in settings.registry.collections.values() if each.ids]
    written = [write(settings, ledger, name) for name in collections]
    return [path for path in written if path is not None]


def write(settings: Settings, ledger: Ledger, collection: str = DEFAULT_COLLECTION) -> Path | None:
    """Writes the file of a collection atomically; returns its path, or None if nothing changed.

    Without finished files there is none. Raises DiskFull, OutputError, and LedgerDamaged where the
    ledger cannot be read.
    """
    path = path_of(settings, collection)
    is_default = collection == DEFAULT_COLLECTION
    note = settings.state / (NOTE if is_default else f"provenance.{collection}.json")
    ids = settings.registry.collections[collection].ids
    signature = _sign(ledger, ids)
    has_rows = any(count for count, _ in signature["done"].values())
    if not has_rows and not path.exists():
        return None
    if files.has_content(note, _format_note(signature, path)):
        return None
    import pyarrow.parquet

    schema = _schema()
    # Temporary files of a run that was killed while writing.
    folders.sweep(path.parent, below=False)
    with (
        files.open_atomic(path) as file,
        pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        for subset in ids:
            for rows in _batches(settings, ledger, subset):
                try:
                    writer.write_table(_as_table(rows, schema))
                except (pyarrow.ArrowException, ValueError, TypeError, OverflowError) as error:
                    what = f"an entry of {subset} has an invalid value: {error}"
                    raise describe_damage(what[:300], ledger.path) from error
    files.write_if_changed(note, _format_note(signature, path))
    return path


def _as_table(rows: list[dict[str, Any]], schema: pyarrow.Schema) -> pyarrow.Table:
    """Rows as a table. By JSON, because pyarrow loads pandas, a second's work, to take objects."""
    import pyarrow as pa
    from pyarrow import json as arrow_json

    content = msgspec.json.Encoder().encode_lines(rows)
    retrieved = schema.get_field_index("retrieved")
    table = arrow_json.read_json(
        pa.BufferReader(content),
        read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(content)),
        parse_options=arrow_json.ParseOptions(
            explicit_schema=schema.set(retrieved, pa.field("retrieved", pa.int64())),
            unexpected_field_behavior="error",
        ),
    )
    # Not `cast`, which loads the whole of pyarrow.compute.
    seconds = [chunk.view(schema.field(retrieved).type) for chunk in table[retrieved].chunks]
    return table.set_column(retrieved, schema.field(retrieved), seconds).replace_schema_metadata(
        schema.metadata
    )


def _sign(ledger: Ledger, ids: Iterable[str]) -> dict[str, Any]:
    """Plain data that differs after any change in the ledger; does not read its items."""
    changed = [
        run["id"] for run in ledger.runs() if run["ended"] is None or _has_changes(run["changes"])
    ]
    return {
        "format": FORMAT,
        "run": changed[-1] if changed else 0,
        "done": {subset: ledger.done_bytes(subset) for subset in ids},
    }


def _has_changes(changes: Any) -> bool:
    return any(map(_has_changes, changes.values())) if isinstance(changes, dict) else bool(changes)


def _format_note(signature: dict[str, Any], path: Path) -> bytes:
    return json.dumps({**signature, "file": stamp(path)}).encode()


def _schema() -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("subset", pa.string()),
            ("file", pa.string()),
            ("source", pa.string()),
            ("bytes", pa.int64()),
            ("sha256", pa.string()),
            ("licence", pa.string()),
            ("rights_holder", pa.string()),
            ("retrieved", pa.timestamp("s", tz="UTC")),
            ("frame_pts", pa.int64()),
            ("frame_seconds", pa.float64()),
            ("raw_bytes", pa.int64()),
            ("raw_sha256", pa.string()),
            ("raw_version", pa.string()),
            ("decoder", pa.string()),
        ],
        metadata={"saco_data_version": metadata.version("saco-data"), "format": str(FORMAT)},
    )


def _batches(settings: Settings, ledger: Ledger, subset: str) -> Iterator[list[dict[str, Any]]]:
    licence = settings.subset(subset).manifest.licence
    # The origin of a frame is that of its video.
    raws = {item.origin: item for item in ledger.items(subset, is_asset=True).values()}
    key = ""
    while items := ledger.done_after(subset, key, ROWS):
        yield [
            _make_row(item, raws.get(item.origin) if item.origin else None, licence)
            for item in items.values()
        ]
        key = max(items)


def _make_row(item: Item, raw: Item | None, licence: str) -> dict[str, Any]:
    facts = item.facts
    common = raw.facts if raw else facts
    return {
        "subset": item.subset,
        "file": item.key,
        "source": without_secrets(item.origin) or None,
        "bytes": item.bytes,
        "sha256": item.sha256,
        "licence": _as_text(licence_of(facts, licence)),
        "rights_holder": _as_text(common.get("uploader") or common.get("contributor")),
        "retrieved": item.since,
        "frame_pts": _as_int64(facts.get("pts")),
        "frame_seconds": _as_float(facts.get("seconds")),
        "raw_bytes": raw.bytes if raw else None,
        "raw_sha256": raw.sha256 if raw else None,
        "raw_version": _join(common, _VERSION),
        "decoder": _join(facts, _DECODER),
    }


def _as_text(value: object) -> str | None:
    if not (isinstance(value, str) and value):
        return None
    # A fact may hold half a surrogate pair, which UTF-8 lacks.
    return value[:1000].encode("utf-8", "replace").decode()


def _as_int64(value: object) -> int | None:
    fits = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63
    return value if fits else None  # type: ignore[return-value]


def _as_float(value: object) -> float | None:
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        return None


def _join(facts: dict[str, Any], names: Iterable[str]) -> str | None:
    parts = [f"{name} {facts[name]}" for name in names if facts.get(name) not in (None, "")]
    return _as_text("; ".join(parts))
