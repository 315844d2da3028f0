"""Pruning: derived, reversible, with a record of what was removed and why."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from saco_data.dataset import pruned
from saco_data.model.errors import Incomplete
from tests.helpers.annotations import document, image

NAMES = ["a.jpg", "b.jpg", "c.jpg"]


CONTENT = json.dumps(document(*(image(n, name) for n, name in enumerate(NAMES)))).encode()
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def source(folder: Path) -> Path:
    path = folder / "pristine.json"
    path.write_bytes(CONTENT)
    return path


def test_the_sidecar_says_what_was_removed_and_from_what(tmp_path: Path) -> None:
    to = tmp_path / "out" / "x.json"
    done = pruned.run(
        source(tmp_path), DIGEST, to, NAMES, {"b.jpg": "http_404", "c.jpg": "video_private"}
    )
    record = json.loads((tmp_path / "out" / "x.pruned.json").read_text())
    assert record["source_sha256"] == DIGEST
    assert record["removed_ids_by_reason"] == {"http_404": [10000001], "video_private": [10000002]}
    assert record["keep_list_sha256"] == hashlib.sha256(b"a.jpg\n").hexdigest()
    assert done.keep_list_sha256 == record["keep_list_sha256"]
    assert done.image_nps == 1


def test_entries_that_return_are_restored_in_their_place(tmp_path: Path) -> None:
    path, to = source(tmp_path), tmp_path / "out" / "x.json"
    pruned.run(path, DIGEST, to, NAMES, {"b.jpg": "http_404"})
    assert [each["file_name"] for each in json.loads(to.read_text())["images"]] == [
        "a.jpg",
        "c.jpg",
    ]
    pruned.run(path, DIGEST, to, NAMES, {})
    assert to.read_bytes() == path.read_bytes()
    assert not pruned.sidecar(to).exists()


def test_a_file_that_changed_since_it_was_read_is_refused(tmp_path: Path) -> None:
    path, to = source(tmp_path), tmp_path / "out" / "x.json"
    path.write_bytes(CONTENT + b"\n")
    with pytest.raises(Incomplete, match="Run again"):
        pruned.run(path, DIGEST, to, NAMES, {})
    assert not to.exists()


def test_the_keep_list_does_not_depend_on_order() -> None:
    assert pruned.keep_list_sha256(NAMES) == pruned.keep_list_sha256(NAMES[::-1])
    assert pruned.keep_list_sha256(NAMES) != pruned.keep_list_sha256(NAMES[:2])
