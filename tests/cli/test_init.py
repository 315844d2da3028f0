"""`saco init`: the config that it writes, and what it refuses."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from saco_data.config import settings, template
from tests.conftest import Saco


def test_the_options_are_in_the_config_and_comments_stay(tmp_path: Path, saco: Saco) -> None:
    (tmp_path / "geode: 1.zip").write_bytes(b"")
    done = saco(
        "init",
        "--geode-raw",
        "geode: 1.zip",
        "--silver-path",
        "out",
        "--remove-videos",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "CONFIG_FRAMES.yaml"
    loaded = settings.load(tmp_path / "CONFIG_FRAMES.yaml")
    assert loaded.silver == tmp_path / "out"
    assert loaded.by_subset["geode_raw"] == "geode: 1.zip"
    assert loaded.by_subset["remove_downloaded_videos_sav"] is True
    text = (tmp_path / "CONFIG_FRAMES.yaml").read_text()
    comments = [line for line in template.default().splitlines() if line.startswith("# ")]
    kept = [line for line in comments if line in text.splitlines()]
    assert kept == [line for line in comments if not line.startswith("# geode_raw:")]


def test_without_options_it_is_the_shipped_config(tmp_path: Path, saco: Saco) -> None:
    assert saco("init", "a/b", cwd=tmp_path).returncode == 0
    assert (tmp_path / "a/b/CONFIG_FRAMES.yaml").read_text() == template.default()


@pytest.mark.parametrize("link", [False, True])
def test_a_config_is_never_replaced(tmp_path: Path, saco: Saco, link: bool) -> None:
    config = tmp_path / "CONFIG_FRAMES.yaml"
    if link:
        config.symlink_to("elsewhere")
    else:
        config.write_text("jobs: 1\n")
    refused = saco("init", cwd=tmp_path)
    assert refused.returncode == 2
    assert "there already" in refused.stderr
    assert link or config.read_text() == "jobs: 1\n"
    assert not (tmp_path / "elsewhere").exists()


def test_a_path_that_is_not_there_is_named_with_its_key(tmp_path: Path, saco: Saco) -> None:
    refused = saco("init", "--sav-links-file", "links.txt", cwd=tmp_path)
    assert refused.returncode == 2
    assert "sav_links_file" in refused.stderr
    assert not (tmp_path / "CONFIG_FRAMES.yaml").exists()


def test_on_a_terminal_it_asks_and_asks_again(tmp_path: Path) -> None:
    (tmp_path / "cookies.txt").write_text("# Netscape HTTP Cookie File\n")
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "saco_data", "init"],
        cwd=tmp_path,
        stdin=its,
        stdout=its,
        stderr=its,
        close_fds=True,
    )
    os.close(its)
    # Annotations, copy, geode (wrong, then none), bdd100k, food_rec, inaturalist, sav, cookies.
    os.write(ours, b"\nelsewhere\nnothing.zip\n\n\n\n\n\ncookies.txt\ny\n")
    seen = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        seen += piece
    os.close(ours)
    assert process.wait() == 0, seen
    assert b"nothing.zip is not there" in seen
    loaded = settings.load(tmp_path / "CONFIG_FRAMES.yaml")
    assert loaded.keys.cookies_path == "cookies.txt"
    assert loaded.silver == tmp_path / "elsewhere"
    assert loaded.by_subset["remove_downloaded_videos_yt1b"] is True


def test_a_key_without_a_line_is_added() -> None:
    assert template.fill("a: 1\n", {"b": "x # y"}) == "a: 1\nb: 'x # y'\n"
