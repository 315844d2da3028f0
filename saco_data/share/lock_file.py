"""The file that `saco lock` writes: one row a picture, as Parquet, so that tables can open it.

A lock from another laboratory is untrusted: its size is limited, and every value is checked.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saco_data.config.regular import require_regular
from saco_data.media.luma import SIZE
from saco_data.model.errors import UsageError
from saco_data.share.matching import NEAR, Description
from saco_data.storage import files, untrusted_json

if TYPE_CHECKING:
    import pyarrow
    from pyarrow import parquet

FORMAT = 1
NAME = "lock.parquet"
ROWS = 4000  # in a row group: 30 MB with neighbours
_LARGEST = 1 << 28  # bytes of a row group, as it says itself
_DISTANCES = [*range(-NEAR, 0), *range(1, NEAR + 1)]
_KEY = b"saco_data_lock"
_REMEDY = "Get a lock that `saco lock` wrote"


@dataclass(frozen=True)
class Row:
    """A picture of a copy. `video`, `frame`: where it comes from, if it is a frame.

    `video_facts`: the fingerprint of the video: digest, codec, rate, number of frames.
    """

    subset: str
    file: str
    bytes: int
    description: Description
    pts: int | None = None
    video: str | None = None
    frame: int | None = None
    video_facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class LockedSubset:
    """What a lock says of a whole subset."""

    annotation_sha256: str
    keep_list_sha256: str
    files: int


@dataclass(frozen=True)
class Lock:
    """A lock that was opened: its path, its digest, its subsets. Rows are read when asked for."""

    path: Path
    sha256: str
    subsets: dict[str, LockedSubset]

    def rows(self) -> Iterator[Row]:
        """All rows. Raises UsageError for one that no lock can have."""
        with _explain(self.path), _open(self.path) as source:
            for number in range(source.metadata.num_row_groups):
                for values in source.read_row_group(number).to_pylist():
                    yield _read_row(values)


def read(path: Path) -> Lock:
    """A lock. Raises UsageError for another file."""
    with _explain(path):
        require_regular(path)
        digest = files.sha256_of(path)
        with _open(path) as source:
            content = untrusted_json.parse((source.schema_arrow.metadata or {})[_KEY])
            if content["format"] != FORMAT:
                raise UsageError(
                    f"is a lock of format {content['format']!r:.20}, this is {FORMAT}",
                    item=str(path),
                    remedy="Use the same version of saco-data in both laboratories",
                )
            if not source.schema_arrow.equals(_schema(), check_metadata=False):
                raise ValueError("it has other columns")
            for number in range(source.metadata.num_row_groups):
                if source.metadata.row_group(number).total_byte_size > _LARGEST:
                    raise ValueError("it claims more bytes than a lock has")
        subsets = {
            str(name): LockedSubset(
                str(each["annotation_sha256"]), str(each["keep_list_sha256"]), int(each["files"])
            )
            for name, each in content["subsets"].items()
        }
    return Lock(path, digest, subsets)


def write(path: Path, subsets: Mapping[str, LockedSubset], rows: Iterable[Row]) -> int:
    """Writes a lock; returns the number of rows. The same copy gives the same bytes.

    Raises DiskFull, OutputError.
    """
    import pyarrow as pa
    from pyarrow import parquet

    header = {"format": FORMAT, "subsets": {name: vars(each) for name, each in subsets.items()}}
    notes = {
        _KEY: json.dumps(header, sort_keys=True).encode(),
        b"saco_data_version": metadata.version("saco-data").encode(),
    }
    schema = _schema().with_metadata(notes)
    count = 0
    with (
        files.open_atomic(path) as file,
        parquet.ParquetWriter(
            file,
            schema,
            compression="zstd",
            use_dictionary=["subset", "video", "video_facts"],
            write_page_checksum=True,
            write_statistics=False,
        ) as writer,
    ):
        batch: list[dict[str, Any]] = []
        for row in rows:
            batch.append(_write_row(row))
            count += 1
            if len(batch) == ROWS:
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
                batch.clear()
        if batch:
            writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
    return count


def _schema() -> pyarrow.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            ("subset", pa.string()),
            ("file", pa.string()),
            ("bytes", pa.int64()),
            ("sha256", pa.binary(32)),
            ("luma", pa.binary(SIZE)),
            ("pts", pa.int64()),
            ("video", pa.string()),
            ("frame", pa.int64()),
            ("video_facts", pa.string()),
            ("near_1", pa.float32()),
            ("near_2", pa.float32()),
            ("still", pa.bool_()),
            ("neighbours", pa.list_(pa.binary(SIZE))),
        ]
    )


def _write_row(row: Row) -> dict[str, Any]:
    what = row.description
    around = what.neighbours
    return {
        "subset": row.subset,
        "file": row.file,
        "bytes": row.bytes,
        "sha256": bytes.fromhex(what.sha256),
        "luma": None if what.luma is None else what.luma.tobytes(),
        "pts": row.pts,
        "video": row.video,
        "frame": row.frame,
        "video_facts": json.dumps(row.video_facts, sort_keys=True) if row.video_facts else None,
        "near_1": what.near[0] if what.near else None,
        "near_2": what.near[1] if what.near else None,
        "still": what.still if what.is_frame else None,
        "neighbours": None
        if around is None
        else [around[k].tobytes() if k in around else None for k in _DISTANCES],
    }


def _read_row(values: Mapping[str, Any]) -> Row:
    near = values["near_1"], values["near_2"]
    around = values["neighbours"]
    if around is not None and len(around) != len(_DISTANCES):
        raise ValueError("it has another number of neighbours")
    is_frame = values["video"] is not None
    description = Description(
        values["sha256"].hex(),
        _as_luma(values["luma"]),
        is_frame=is_frame,
        still=bool(values["still"]),
        near=None if None in near else near,
        neighbours=None
        if around is None
        else {
            k: np.frombuffer(each, np.uint8)
            for k, each in zip(_DISTANCES, around, strict=True)
            if each is not None
        },
    )
    if is_frame and (values["frame"] is None or values["frame"] < 0):
        raise ValueError("a frame has no number")
    facts = untrusted_json.parse(values["video_facts"].encode()) if values["video_facts"] else {}
    return Row(
        str(values["subset"]),
        str(values["file"]),
        int(values["bytes"]),
        description,
        values["pts"],
        values["video"],
        values["frame"],
        facts if isinstance(facts, dict) else {},
    )


def _as_luma(value: bytes | None) -> np.typing.NDArray[np.uint8] | None:
    return None if value is None else np.frombuffer(value, np.uint8)


@contextlib.contextmanager
def _open(path: Path) -> Iterator[parquet.ParquetFile]:
    from pyarrow import parquet

    with (
        path.open("rb") as file,
        parquet.ParquetFile(file, page_checksum_verification=True) as source,
    ):
        yield source


@contextlib.contextmanager
def _explain(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        said = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UsageError(f"is not a lock ({said})", item=str(path), remedy=_REMEDY) from error
