"""A remedy names a key of the config only if the config has it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from saco_data import doctor
from saco_data.config.settings import Settings
from saco_data.doctor import Verdict
from saco_data.sandbox.http_server import Answer, FileServer
from saco_data.sandbox.proxy import ConnectProxy, forward
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.pipeline import Notes, prepare

# A source on the web, the endpoint that fails, and the host of the public address.
SOURCES = {
    "nga": ("catalogue", "raw.githubusercontent.com"),
    "fathomnet": ("api", "database.fathomnet.org"),
    "inaturalist": ("mapping", "raw.githubusercontent.com"),
    "droid": ("https", "storage.googleapis.com"),
}
PAGE = b"<!DOCTYPE html><title>proxy</title>"


def talk(settings: Settings, name: str) -> str:
    """All that a run and the doctor say."""
    notes = Notes()
    prepare(settings, name, notes=notes)
    findings = list(doctor.examine(settings, [name], online=True))
    remedies = [
        f"{each.what}. {each.remedy}" for each in findings if each.verdict is not Verdict.OK
    ]
    return "\n".join([*notes.lines, *remedies])


@pytest.mark.parametrize("answer", [Answer(b"", 404), Answer(PAGE, 200), Answer(b"{}", 200)])
@pytest.mark.parametrize("name", SOURCES)
def test_a_public_address_that_fails_names_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, answer: Answer
) -> None:
    host = SOURCES[name][1]
    build_one(tmp_path, name)
    limits = {name: {"requests_per_second": 0, "sleep_seconds": [0, 0]}}
    more: dict[str, Any] = {"inaturalist_raw": "raw"} if name == "inaturalist" else {}
    (tmp_path / "raw").mkdir()
    with FileServer() as server:
        server.route("/", lambda query: answer)
        with ConnectProxy(dict.fromkeys([host, "huggingface.co"], forward(server.url))) as proxy:
            for variable, value in proxy.environment.items():
                monkeypatch.setenv(variable, value)
            said = talk(config(tmp_path, silver_path="silver", limits=limits, **more), name)
        assert not re.search(rf"endpoints[:.] ?{name}|`endpoints: \w", said), said


@pytest.mark.parametrize("name", ["nga", "fathomnet", "inaturalist"])
def test_an_address_of_the_config_that_fails_is_named_by_its_key(tmp_path: Path, name: str) -> None:
    key = f"{name}_{SOURCES[name][0]}"
    build_one(tmp_path, name)
    (tmp_path / "raw").mkdir()
    more: dict[str, Any] = {"inaturalist_raw": "raw"} if name == "inaturalist" else {}
    limits = {name: {"requests_per_second": 0, "sleep_seconds": [0, 0]}}
    with FileServer() as server:
        settings = config(
            tmp_path,
            silver_path="silver",
            endpoints={key: f"{server.url}/none", "hub": server.url},
            limits=limits,
            **more,
        )
        assert f"`endpoints: {key}`" in talk(settings, name)
