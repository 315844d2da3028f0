"""Roboflow's REST export: names, versions, and an export that is still being made."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from saco_data.model.errors import Blocked, Incomplete
from saco_data.sandbox.http_server import Answer, FileServer, Query
from saco_data.sandbox.hub import Roboflow as Service
from saco_data.transports.base import Policy
from saco_data.transports.services import roboflow
from saco_data.transports.services.roboflow import WORKSPACE, Names, Roboflow, original_name
from tests.helpers.web import production

KEY = "rf-very-secret-key"
EXPORT = {"geode": {"test/a.jpg": b"picture"}}


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        yield running


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"file_name": "a_b_jpg.rf.0123abcd.jpg"}, "a_b.jpg"),
        ({"file_name": "a.b_png.rf.0123abcd.jpg"}, "a.b.png"),
        ({"file_name": "a_jpg.rf.0123abcd.jpg", "extra": {"name": "x/y.jpg"}}, "x/y.jpg"),
        ({"file_name": "plain.jpg", "extra": {"name": 3}}, "plain.jpg"),
    ],
)
def test_original_names_are_restored(entry: dict[str, object], name: str) -> None:
    assert original_name(entry) == name


def test_names_without_their_signs_are_found_unless_ambiguous() -> None:
    names = Names(dict.fromkeys(["a/b.jpg", "c-d.jpg", "c_d.jpg", "e.jpg"]))
    assert names.find("a_b.jpg") == "a/b.jpg"
    assert names.find("c-d.jpg") == "c-d.jpg"
    assert names.find("c.d.jpg") is None
    assert names.find("f.jpg") is None


def test_the_newest_version_is_exported_when_it_is_ready(
    tmp_path: Path, server: FileServer
) -> None:
    root = Service(WORKSPACE, KEY, EXPORT, version=3, unready=2).mount(server)
    waits: list[float] = []
    origin = Roboflow(KEY, root, wait=waits.append).export("geode", tmp_path / "x.zip")
    assert origin == f"{root}/{WORKSPACE}/geode/3" and len(waits) == 2
    with zipfile.ZipFile(io.BytesIO((tmp_path / "x.zip").read_bytes())) as archive:
        assert archive.read("test/a.jpg") == b"picture"


def test_an_export_that_is_never_ready_is_a_failure(tmp_path: Path, server: FileServer) -> None:
    root = Service(WORKSPACE, KEY, EXPORT, unready=1000).mount(server)
    with pytest.raises(Incomplete, match="still being made"):
        Roboflow(KEY, root, wait=lambda seconds: None).export("geode", tmp_path / "x.zip")


@pytest.mark.parametrize(
    ("key", "project", "words"),
    [("rf-wrong", "geode", "Set ROBOFLOW_API_KEY"), (KEY, "other", "no such export")],
)
def test_refusals_say_what_to_do_without_the_key(
    tmp_path: Path, server: FileServer, key: str, project: str, words: str
) -> None:
    root = Service(WORKSPACE, KEY, EXPORT).mount(server)
    with pytest.raises(Blocked, match=words) as caught:
        Roboflow(key, root).export(project, tmp_path / "x.zip")
    assert key not in str(caught.value)


@pytest.mark.parametrize("key", [KEY, "a key/with signs"])
@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_key_in_an_error_page_is_hidden(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch, key: str, status: int
) -> None:
    policy = Policy(attempts=1, patience_seconds=0)
    monkeypatch.setattr(roboflow, "Policy", lambda **_: policy)
    shown = [key, quote(key, safe=""), quote_plus(key)]

    def repeats(_: Query) -> Answer:
        said = {"error": {"message": f"no such keys: {shown}"}}
        return Answer(json.dumps(said).encode(), status)

    server.route("/", repeats)
    with pytest.raises((Blocked, Incomplete)) as caught:
        Roboflow(key, server.url, wait=lambda seconds: None).export("geode", tmp_path / "x.zip")
    everything = f"{caught.value} {caught.value!r}"
    assert not [each for each in shown if each in everything]


@pytest.mark.parametrize("words", range(47, 54))
def test_the_beginning_of_a_key_in_an_error_page_is_hidden(
    tmp_path: Path, server: FileServer, words: int
) -> None:
    server.route("/", lambda _: Answer(b"no " * words + KEY.encode(), 401))
    with pytest.raises(Blocked) as caught:
        Roboflow(KEY, server.url).export("geode", tmp_path / "x.zip")
    assert KEY[:6] not in str(caught.value)


def test_the_production_address_is_right(
    tmp_path: Path, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    Service(WORKSPACE, KEY, EXPORT, url="https://api.roboflow.com").mount(server, "")
    with production(server, "api.roboflow.com") as proxy:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        Roboflow(KEY).export("geode", tmp_path / "x.zip")
    assert (tmp_path / "x.zip").stat().st_size > 0
