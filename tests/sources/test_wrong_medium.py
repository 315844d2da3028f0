"""A raw medium that is not what it should be: exit 4, its name, its key, the step; no loop."""

from __future__ import annotations

import gzip
import json
import lzma
import re
from pathlib import Path
from typing import Any

import pytest

from saco_data import doctor
from saco_data.config.settings import Settings
from saco_data.doctor import Verdict
from saco_data.model.reasons import Reason, State
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.packing import pack_tar, pack_zip
from saco_data.sandbox.recipe import MiniatureSubset
from saco_data.sources.wrong_medium import REFUSED
from tests.conftest import Saco
from tests.helpers.folders import config, write_files
from tests.helpers.miniatures import build_one
from tests.helpers.names import manifest
from tests.helpers.pipeline import Notes, items, prepare, products
from tests.helpers.web import production

# Subsets with one archive, and the key that names it.
SUBSETS = {
    "geode": "geode_raw",
    "bdd100k": "bdd100k_raw",
    "food_rec": "food_rec_raw",
    "sav": "sav_videos_fps_6_download_path",
    "inaturalist": "inaturalist_raw",
}
TAR = pack_tar({"a/b.jpg": b"x" * 999})
WRONG = {
    "page": (b"<!DOCTYPE html><title>Log in</title>", "web page", "Log in"),
    "error": (b'<?xml version="1.0"?><Error/>', "web page", "Log in"),
    "empty": (b"", "is empty", "Download"),
    "xz": (lzma.compress(TAR), "xz", "unxz"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(99), "zstd", "unzstd"),
    "bzip2": (b"BZh9" + bytes(99), "bzip2", "bunzip2"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(99), "7z", "7z x"),
    "rar": (b"Rar!\x1a\x07\x01\x00" + bytes(99), "RAR", "unrar x"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(999), "neither", "Download"),
    "gzip of a page": (gzip.compress(b"<html>" * 999), "no valid tar header", "Download"),
    "zip in a zip": (pack_zip({"geode.zip": pack_zip({"x": b"y"})}), "geode.zip", "Extract"),
}


def build(folder: Path, name: str) -> MiniatureSubset:
    """The subset; for iNaturalist with its mapping as a file."""
    subset = build_one(folder, name)
    if name == "inaturalist":
        mapping = {entry.file_name: subset.raw_name[entry.file_name] for entry in subset.entries}
        short = {k: "/".join(v.split("/")[-3:]) for k, v in mapping.items()}
        (folder / "mapping.json").write_text(json.dumps(short))
    return subset


def settings_of(folder: Path, name: str, raw: str) -> Settings:
    more: dict[str, Any] = (
        {"endpoints": {"inaturalist_mapping": "mapping.json"}} if name == "inaturalist" else {}
    )
    return config(folder, silver_path="silver", **{SUBSETS[name]: raw}, **more)


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("name", ["geode", "sav"])
def test_a_local_file_that_is_no_usable_archive(tmp_path: Path, name: str, kind: str) -> None:
    content, said, step = WRONG[kind]
    build(tmp_path, name)
    (tmp_path / "raw.zip").write_bytes(content)
    settings, notes = settings_of(tmp_path, name, "raw.zip"), Notes()
    assert prepare(settings, name, notes=notes) == 4
    (line,) = [line for line in notes.lines if "raw.zip" in line]
    assert said in line and step in line and SUBSETS[name] in line
    assert "Run again" not in line
    assert {item.reason for item in items(settings, name).values()} == {Reason.RAW_UNUSABLE}
    found = [each for each in doctor.examine(settings, [name], online=False) if each.name == name]
    if kind not in ("gzip of a page", "zip in a zip"):
        assert [each.verdict for each in found] == [Verdict.FAIL]
        assert said in found[0].what and step in found[0].remedy


@pytest.mark.parametrize("name", SUBSETS)
def test_a_wrong_folder_is_told_with_what_lies_there(tmp_path: Path, name: str) -> None:
    build(tmp_path, name)
    write_files(tmp_path / "raw", {"holiday/1.jpg": b"x", "notes.txt": b"x"})
    settings, notes = settings_of(tmp_path, name, "raw"), Notes()
    assert prepare(settings, name, notes=notes) == 4
    (line,) = [line for line in notes.lines if "holiday/1.jpg" in line]
    assert SUBSETS[name] in line and manifest(name).raw.layout in line
    assert {item.state for item in items(settings, name).values()} == {State.BLOCKED}


def test_a_folder_that_holds_the_archive_names_it(tmp_path: Path) -> None:
    subset = build(tmp_path, "geode")
    write_files(tmp_path / "raw", {"down/geode.zip": pack_zip(subset.raw)})
    notes = Notes()
    assert prepare(settings_of(tmp_path, "geode", "raw"), "geode", notes=notes) == 4
    assert any("Name down/geode.zip itself in `geode_raw`" in line for line in notes.lines)
    assert prepare(settings_of(tmp_path, "geode", "raw/down/geode.zip"), "geode") == 0


@pytest.mark.parametrize("kind", ["xz", "7z", "rar", "zstd"])
def test_an_address_of_a_kind_that_is_not_read(tmp_path: Path, kind: str) -> None:
    content, said, step = WRONG[kind]
    build(tmp_path, "geode")
    notes = Notes()
    with FileServer({"/g.zip": content}) as server:
        settings = settings_of(tmp_path, "geode", f"{server.url}/g.zip")
        assert prepare(settings, "geode", notes=notes) == 4
    assert any(said in line and step in line for line in notes.lines)


def test_another_archive_at_the_published_address_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subset = build_one(tmp_path, "inaturalist")
    from saco_data.sandbox.packing import pack_tar_gz

    mapping = {entry.file_name: subset.raw_name[entry.file_name] for entry in subset.entries}
    short = {k: "/".join(v.split("/")[-3:]) for k, v in mapping.items()}
    (tmp_path / "mapping.json").write_text(json.dumps(short))
    path = "/2017/train_val_images.tar.gz"
    host = "ml-inat-competition-datasets.s3.amazonaws.com"
    with FileServer({path: pack_tar_gz(subset.raw)}) as server, production(server, host) as proxy:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        settings = config(
            tmp_path, silver_path="silver", endpoints={"inaturalist_mapping": "mapping.json"}
        )
        notes = Notes()
        assert prepare(settings, "inaturalist", notes=notes) == 4
        assert any("md5 is not the published one" in line for line in notes.lines)
        made = products(settings, "inaturalist")
        assert made
        states = {item.state for item in items(settings, "inaturalist").values()}
        assert states == {State.DONE, State.BLOCKED}, "nothing is gone"
        assert (settings.subset("inaturalist").folder / REFUSED).exists()
        before = server.bytes_sent if hasattr(server, "bytes_sent") else None
        seen = len(server.seen)
        assert prepare(settings, "inaturalist", notes=notes) == 4
        assert len(server.seen) - seen == 1, "it only looks whether the archive changed"
        assert before is None or server.bytes_sent - before < 10
        # Another version at the address is read again.
        server.files[path] = pack_tar_gz({**subset.raw, "more": b"x"})
        seen = len(server.seen)
        assert prepare(settings, "inaturalist", notes=notes) == 4
        assert len(server.seen) - seen > 1


@pytest.mark.parametrize(
    ("written", "there", "code"),
    [
        ("anotations", {"annotations/x.json": b"{}"}, 4),  # one letter
        ("annotations", {"annotations/gold_nga.json": b"{}"}, 4),  # the folder of another data set
        ("{root}/no/such/folder", {}, 4),
        ("annotations", {}, 3),  # nothing looks mistyped: the network is what fails
    ],
)
def test_a_mistyped_annotation_path_is_not_a_network_fault(
    tmp_path: Path, saco: Saco, written: str, there: dict[str, bytes], code: int
) -> None:
    write_files(tmp_path, there)
    config(
        tmp_path,
        path_annotations=written.format(root=tmp_path),
        endpoints={"hub": "http://127.0.0.1:9"},
    )
    done = saco("prepare", "nga", cwd=tmp_path, HF_TOKEN="")
    assert done.returncode == code, done.stderr
    assert manifest("nga").annotations.file in done.stderr
    assert bool(re.search("Correct path_annotations", done.stderr)) == (code == 4)


def test_a_mistyped_annotation_file_of_an_official_script(tmp_path: Path) -> None:
    import subprocess
    import sys

    from tests.conftest import ROOT

    done = subprocess.run(
        [
            *(
                sys.executable,
                ROOT / "download_preprocess_nga.py",
                "--annotation_file",
                "nowhere.json",
            ),
            *("--raw_images_folder", "raw", "--processed_images_folder", "out"),
        ],
        cwd=tmp_path,
        env={"PATH": "/usr/bin", "HF_ENDPOINT": "http://127.0.0.1:9", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4, done.stderr
    assert "--annotation_file" in done.stderr and "nowhere.json" in done.stderr
