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
from tests.helpers.folders import write_files
from tests.helpers.names import SILVER
from tests.helpers.secrets import MARK, ProcessList, content_of, write_cookies

# Addresses of single files, which may be signed; the others are roots, to which names are added.
FILES = ("nga_catalogue", "inaturalist_archive", "inaturalist_mapping")
FIRST = "inaturalist", "yt1b", "ego4d"  # subsets whose items are looked at by name
COMMANDS = (
    ("-v", "annotations", "nga", "--from", "hub"),
    ("-v", "annotations", "geode", "--from", "roboflow"),
    ("-v", "plan"),
    ("-v", "plan", "o365", "sa-v"),
    ("-v", "doctor", "--online"),
    ("doctor", "--online", "--json"),
    ("-v", "prepare"),
    ("-v", "prepare", "sa-v/val"),
    ("-v", "prepare", "o365"),
    ("-v", "verify"),
    ("-v", "sync"),
    ("status", "--reasons"),
    ("status", "--reasons", "--json"),
    ("status", "--json"),
    ("report",),
    ("-v", "preview", "sav"),
    ("card",),
    ("intersect", "data/silver/card/card.json"),
)
OFFICIAL = (
    ("-v", "doctor", "droid", "ego4d"),
    ("-v", "prepare", "droid", "ego4d"),
    ("status", "--reasons"),
    ("report",),
)
WAYS = ("sources answer", "sources are down", "official clients")


def mark(name: str, url: str) -> str:
    """The address with user and password, and where a query may be, signed."""
    marked = re.sub(r"(https?://)", rf"\1me:{MARK}{name}user@", url, count=1)
    return (
        f"{marked}?X-Amz-Signature={MARK}{name}sig&Expires=4000000000" if name in FILES else marked
    )


def make_home(folder: Path) -> dict[str, str]:
    """A user whose secrets lie where clients look for them; returns the variables for it."""
    home = folder / "home"
    write_files(
        home,
        {
            ".netrc": f"machine 127.0.0.1 login me password {MARK}netrc\n".encode(),
            ".aws/credentials": f"[default]\naws_access_key_id = AKIA{MARK}file\n"
            f"aws_secret_access_key = {MARK}file\n".encode(),
            ".cache/huggingface/token": f"hf_{MARK}file".encode(),
            ".boto": f"[Credentials]\ngs_oauth2_refresh_token = {MARK}boto\n".encode(),
        },
    )
    for path in home.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)
    return {
        "HOME": str(home),
        "BOTO_CONFIG": str(home / ".boto"),
        "AWS_ACCESS_KEY_ID": f"AKIA{MARK}variable",
        "AWS_SECRET_ACCESS_KEY": f"{MARK}variable",
        "AWS_SESSION_TOKEN": f"{MARK}session",
        "HF_TOKEN": f"hf_{MARK}variable",
    }


@pytest.mark.parametrize("way", WAYS)
def test_no_secret_is_in_any_output(tmp_path: Path, saco: Saco, way: str) -> None:
    alive = way == "sources answer"
    variables = make_home(tmp_path)
    if not alive:
        proxy = f"http://me:{MARK}proxy@127.0.0.1:9"
        variables |= {"HTTPS_PROXY": proxy, "https_proxy": proxy, "AWS_ENDPOINT_URL": proxy}
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
                name: re.sub(r"(https?://)[^/]+", r"\g<1>127.0.0.1:9", url)
                for name, url in given.items()
            }
        else:  # nothing leaves this machine
            given |= {
                name: f"{root[0]}/{name}"
                for name, url in given.items()
                if "127.0.0.1" not in url and url.startswith("http")
            }
        keys["endpoints"] = {name: mark(name, url) for name, url in given.items()}
        for name in ("geode_raw", "bdd100k_raw"):
            keys[name] = f"{root[0]}/{name}.zip?sig={MARK}{name}"
        links = tmp_path / "links.txt"
        links.write_text(
            "file_name\tcdn_link\n"
            + "".join(
                f"{name}\t{root[0]}/cdn/{name}?oh={MARK}links&oe=70000000\n"
                for name in ("videos_fps_6.tar", "sav_val.tar", "sav_test.tar", "sav_000.tar")
            )
        )
        keys |= {"sav_links_file": str(links), "roboflow_api_key": f"{MARK}roboflow"}
        keys["collections"] = {"sa-v": {"links_file": str(links)}}
        keys["collections"]["o365"] = {"raw": {"val": f"{root[0]}/val.tar.gz?sig={MARK}val"}}
        keys["hf_token"] = f"hf_{MARK}token"
        keys["cookies_path"] = write_cookies(tmp_path / "cookies.txt")
        keys["aws_access_key_id"], keys["aws_secret_access_key"] = f"AKIA{MARK}id", f"{MARK}key"
        if way == "official clients":
            keys["transport"] = {"droid": "gsutil", "ego4d": "ego4d-cli"}
        path.write_text(yaml.safe_dump(keys))
        path.chmod(0o600)
        settings = load(path)
        said = {}
        with ProcessList() as processes:
            for command in OFFICIAL if way == "official clients" else COMMANDS:
                done = saco(*command, cwd=tmp_path, **variables)
                allowed = (0, 3, 4, 2) if command[0] == "intersect" else (0, 3, 4)
                assert done.returncode in allowed, (command, done.stderr[-2000:])
                said[" ".join(command)] = done.stdout + done.stderr
        assert processes.found == set()
        for name in SILVER:
            for item in re.findall(r"^\s+(\S+) since", said["status --reasons"], re.M)[:1]:
                done = saco("history", item, "--json", cwd=tmp_path)
                said[f"history {name}"] = done.stdout + done.stderr
    if alive:
        assert '"done": 0' not in re.findall(r'"nga":.*?\}', said["status --json"], re.S)[0]
    assert {what for what, text in said.items() if MARK in text} == set()
    secret = {path, links, tmp_path / "cookies.txt", *(tmp_path / "home").rglob("*")}
    for file in tmp_path.rglob("*"):
        if file.is_file() and file not in secret:
            assert MARK not in content_of(file), file
            if ".saco" in file.parts:
                assert not file.stat().st_mode & 0o022, file
