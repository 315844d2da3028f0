"""Pictures from exports of Roboflow, and what they must not change in the ledger."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from saco_data.engine import roboflow_images
from saco_data.media import process
from saco_data.model.errors import AnnotationError, DiskFull
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Outcome
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.hub import Roboflow as Service
from saco_data.sandbox.packing import pack_zip
from saco_data.sources import roboflow_export
from saco_data.sources.annotation_files import Annotations
from saco_data.transports.services.roboflow import COCO, WORKSPACE
from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config
from tests.helpers.pictures import plain_jpeg
from tests.helpers.pipeline import items, states
from tests.helpers.tiny_subset import NAMES, PICTURES, SUBSET, TinySubset

KEY = "rf-very-secret-key"


def make_export(monkeypatch: pytest.MonkeyPatch, folder: Path, pictures: dict[str, bytes]) -> Path:
    """Makes the export contain these pictures, by their original names."""
    images = [
        {"file_name": f"x{n}.jpg", "extra": {"name": name}} for n, name in enumerate(pictures)
    ]
    files = {f"test/x{n}.jpg": content for n, content in enumerate(pictures.values())}
    path = folder / "export.zip"
    path.write_bytes(pack_zip({f"test/{COCO}": json.dumps({"images": images}).encode(), **files}))

    @contextmanager
    def export(*_: object) -> Iterator[tuple[Path, str]]:
        yield path, "roboflow:1"

    monkeypatch.setattr(roboflow_export, "export", export)
    return path


@pytest.mark.parametrize(
    "images", [[1], "abc", {"a": 1}, [{"id": 1, "text_input": "a"}], [{"file_name": 5}]]
)
def test_an_export_without_names_is_refused(tmp_path: Path, images: Any) -> None:
    annotate(tmp_path, "geode", document(image(1, "a.jpg")))
    export = {f"test/{COCO}": json.dumps({"images": images}).encode(), "test/a.jpg": plain_jpeg()}
    with FileServer() as server:
        root = Service(WORKSPACE, KEY, {"geode": export}).mount(server)
        settings = config(tmp_path, endpoints={"roboflow": root}, roboflow_api_key=KEY)
        with pytest.raises(AnnotationError, match="`file_name`"):
            roboflow_images.fetch_images(settings, "geode")
        with pytest.raises(AnnotationError, match="`file_name`"):
            roboflow_export.fetch_annotations(Annotations(), settings.subset("geode"))


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = TinySubset(tmp_path)
    path = make_export(monkeypatch, tmp_path, {})
    images = [{"file_name": "a.jpg", "text_input": "a"}]
    path.write_bytes(pack_zip({COCO: json.dumps({"images": images}).encode()}))

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(DiskFull):
        roboflow_export.fetch_annotations(Annotations(), small.settings.subset(SUBSET))


@pytest.mark.parametrize(("size", "state"), [((8, 6), State.GONE), ((16, 12), State.DONE)])
def test_only_a_picture_of_the_annotated_size_replaces_a_gone_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], state: State
) -> None:
    small = TinySubset(tmp_path)
    small.holds(NAMES[1:])
    small.prepare()
    make_export(monkeypatch, tmp_path, {NAMES[0]: plain_jpeg(*size)})
    counts = roboflow_images.fetch_images(small.settings, SUBSET)
    assert counts == {Reason.OK if state is State.DONE else Reason.WRONG_SIZE: 1}
    assert states(small.settings, SUBSET)[NAMES[0]] is state
    small.prepare()
    assert (NAMES[0] in small.kept()) == (state is State.DONE)


def test_a_killed_run_leaves_no_picture_that_passes_for_an_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = TinySubset(tmp_path)
    make_export(monkeypatch, tmp_path, {name: plain_jpeg() for name in NAMES})
    if (child := os.fork()) == 0:
        made: list[Outcome] = []

        def run(job: process.Job, run: Any = process.run) -> list[Outcome]:
            if len(made) == 3:
                os._exit(0)
            made.extend(run(job))
            return made[-1:]

        monkeypatch.setattr(process, "run", run)
        roboflow_images.fetch_images(small.settings, SUBSET)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    small.prepare()
    known = items(small.settings, SUBSET)
    assert [name for name in NAMES if known[name].facts.get("recompressed")] == NAMES[:3]
    assert all(small.product(name).read_bytes() == PICTURES[name] for name in NAMES[3:])


def test_a_damaged_picture_does_not_affect_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = TinySubset(tmp_path)
    path = make_export(monkeypatch, tmp_path, {name: plain_jpeg() for name in NAMES})
    with zipfile.ZipFile(path) as archive:
        at = archive.getinfo("test/x1.jpg").header_offset
    content = bytearray(path.read_bytes())
    content[at + 60] ^= 1
    path.write_bytes(content)
    counts = roboflow_images.fetch_images(small.settings, SUBSET)
    assert counts == {Reason.OK: 4, Reason.ARCHIVE_DAMAGED: 1}
    assert states(small.settings, SUBSET)[NAMES[1]] is State.FAILED
