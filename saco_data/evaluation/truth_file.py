"""The entries of a ground truth file, decoded with their type where they have the usual form."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from saco_data.evaluation.json_slices import NotAnArray, reader_of, slices
from saco_data.model.errors import AnnotationError
from saco_data.storage import untrusted_json

AGAIN = "Download it again with `saco annotations`, or correct the entry"


def entries(
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
        raise AnnotationError(f"`{key}` is not a list", item=str(path), remedy=AGAIN)
    rest = [_object(each, path, key, at) for at, each in enumerate(whole)][first:]
    if rest:
        yield first, rest


def _object(entry: Any, path: Path, key: str, number: int) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise AnnotationError(f"{key}[{number}] is not an object", item=str(path), remedy=AGAIN)
    return entry
