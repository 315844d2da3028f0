"""Secrets of every endpoint and key are in no output and in no file, whichever command ran."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from saco_data.config.settings import FILE_NAME, load
from saco_data.config.subset import endpoint_key
from saco_data.sandbox.demo import serve_miniature
from tests.conftest import Saco
from tests.helpers.names import SILVER

MARK = "MARKER"
# Addresses of single files, which may be signed; the others are roots, to which names are added.
FILES = ("nga_catalogue", "inaturalist_archive", "inaturalist_mapping")
FIRST = "inaturalist", "yt1b", "ego4d"  # subsets whose items are looked at by name
COMMANDS = (
    ("-v", "annotations", "nga", "--from", "hub"),
    ("-v", "annotations", "geode", "--from", "roboflow"),
    ("-v", "plan"),
    ("-v", "doctor", "--online"),
    ("doctor", "--online", "--json"),
    ("-v", "prepare"),
    ("-v", "sync"),
    ("status", "--reasons"),
    ("status", "--reasons", "--json"),
    ("status", "--json"),
    ("report",),
    ("card",),
)


def mark(name: str, url: str) -> str:
    """The address with user and password, and where a query may be, signed."""
    marked = re.sub(r"(https?://)", rf"\1me:{MARK}{name}user@", url, count=1)
    return (
        f"{marked}?X-Amz-Signature={MARK}{name}sig&Expires=4000000000" if name in FILES else marked
    )


@pytest.mark.parametrize("alive", [True, False], ids=["sources answer", "sources are down"])
def test_no_secret_is_in_any_output(tmp_path: Path, saco: Saco, alive: bool) -> None:
    with serve_miniature(tmp_path) as settings:
        path = tmp_path / FILE_NAME
        keys = yaml.safe_load(path.read_text())
        given = keys["endpoints"]
        root = re.match(r"https?://[^/]+", given["nga_iiif"])
        assert root
        for manifest in settings.registry.manifests:
            for name, url in manifest.endpoints.items():
                given.setdefault(endpoint_key(manifest, name), url)
        given |= {"hub": f"{root[0]}/hub", "roboflow": f"{root[0]}/roboflow"}
        if not alive:
            given |= {
                name: re.sub(r"(https?://)[^/]+", r"\1127.0.0.1:9", url)
                for name, url in given.items()
            }
        keys["endpoints"] = {name: mark(name, url) for name, url in given.items()}
        for name in ("geode_raw", "bdd100k_raw"):
            keys[name] = f"{root[0]}/{name}.zip?sig={MARK}{name}"
        links = tmp_path / "links.txt"
        links.write_text(
            "file_name\tcdn_link\n"
            f"videos_fps_6.tar\t{root[0]}/cdn/videos_fps_6.tar?oh={MARK}links&oe=70000000\n"
        )
        keys |= {"sav_links_file": str(links), "roboflow_api_key": f"{MARK}roboflow"}
        keys["hf_token"] = f"hf_{MARK}token"
        path.write_text(yaml.safe_dump(keys))
        path.chmod(0o600)
        settings = load(path)
        said = {}
        for command in COMMANDS:
            done = saco(*command, cwd=tmp_path)
            assert done.returncode in (0, 3, 4), (command, done.stderr[-2000:])
            said[" ".join(command)] = done.stdout + done.stderr
        for name in SILVER:
            for item in re.findall(r"^\s+(\S+) since", said["status --reasons"], re.M)[:1]:
                done = saco("history", item, "--json", cwd=tmp_path)
                said[f"history {name}"] = done.stdout + done.stderr
    if alive:
        assert '"done": 0' not in re.findall(r'"nga":.*?\}', said["status --json"], re.S)[0]
    assert {what for what, text in said.items() if MARK in text} == set()
    for file in tmp_path.rglob("*"):
        if file.is_file() and file not in (path, links):
            assert MARK.encode() not in file.read_bytes(), file
            if ".saco" in file.parts:
                assert not file.stat().st_mode & 0o022, file
