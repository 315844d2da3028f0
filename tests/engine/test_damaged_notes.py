"""What cannot be read of our own files is set aside and made anew."""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from saco_data.engine import provenance
from saco_data.sandbox.http_server import FileServer
from saco_data.transports.http.part import Part
from tests.helpers.pipeline import products
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset, archive

NOTES = [
    '{"size": 1e999, "ranges": [[0, 1e999]]}',
    '{"url": "URL", "etag": "a", "last_modified": "", "size": 1e999, "spans": [[0, 1e999]]}',
    '{"url": "URL", "etag": "a", "last_modified": "", "size": 9, "spans": [[0, NaN]]}',
    '{"url": "URL", "etag": "a", "last_modified": "", "size": 9, "spans": [[0, 99]]}',
    '{"url": "URL", "etag": "a", "last_modified": "", "size": 9, "spans": [[-5, 3]]}',
    '{"url": "URL", "etag": "a", "last_modified": "", "size": -9, "spans": [[0, 3]]}',
    '{"url": "URL", "etag": "a", "last_modified": "", "size": true, "spans": {}}',
    "[" * 100_000,
    "[]",
    "null",
    "\ud800",
    "",
]


@pytest.mark.parametrize("number", range(len(NOTES)))
def test_a_damaged_note_beside_a_part_starts_anew(tmp_path: Path, number: int) -> None:
    part = Part(tmp_path / "a", "URL")
    part.path.write_bytes(b"12345678901234567890" * 6)
    part.note.write_bytes(NOTES[number].encode("utf-8", "surrogatepass"))
    part.load(vouched=True)
    assert not part.resumed and part.spans == [] and part.version.size is None


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
@pytest.mark.parametrize("ending", [".part", ".part.json"])
def test_what_is_no_file_at_the_place_of_a_part_is_set_aside(
    tmp_path: Path, kind: str, ending: str
) -> None:
    part = Part(tmp_path / "a", "URL")
    (tmp_path / f".a{'.part.json' if ending == '.part' else '.part'}").write_bytes(b"{}")
    place = tmp_path / f".a{ending}"
    if kind == "folder":
        (place / "inside").mkdir(parents=True)
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero")
    part.load(vouched=True)
    part.write([b"whole"], 0)
    part.save([(0, 5)])
    part.finish()
    assert (tmp_path / "a").read_bytes() == b"whole"
    aside = tmp_path / f".a{ending}.aside-0"
    assert aside.lstat() and (kind != "folder" or (aside / "inside").is_dir())
    assert {path.name for path in tmp_path.iterdir()} == {"a", aside.name}


NONSENSE: dict[str, list[Any]] = {
    "since": [-1, 1 << 62, "yesterday", 1.5],
    "bytes": [1 << 62, "many"],
    "key": [b"\xff\xfe"],
    "facts": ['{"seconds": 1' + "0" * 400 + "}", '{"etag": "\\ud800"}', '{"pts": "x"}', "[1]"],
    "sha256": ["text", 5],
    "origin": [b"\xff"],
    "attempts": [1 << 62],
}


@pytest.mark.parametrize(
    ("column", "value"), [(column, each) for column, all_ in NONSENSE.items() for each in all_]
)
def test_a_ledger_with_nonsense_of_the_right_shape_is_rebuilt(
    tmp_path: Path, column: str, value: object
) -> None:
    with FileServer({"/b.tar": archive(NAMES)}) as server:
        small = TinySubset(tmp_path, raw=f"{server.url}/b.tar")
        small.prepare()
        made = products(small.settings, SUBSET)
        db = sqlite3.connect(small.settings.state / "ledger.sqlite")
        db.execute(f"UPDATE items SET {column} = ? WHERE key = ?", (value, NAMES[1]))
        # The provenance is made again.
        db.execute("UPDATE runs SET changes = ?", (json.dumps({"x": {"ok": 1}}),))
        db.commit()
        db.close()
        provenance.path_of(small.settings).unlink()
        codes = [small.prepare().code for _ in range(2)]
    assert codes[-1] == 0
    assert products(small.settings, SUBSET) == made
    assert provenance.path_of(small.settings).exists()
