"""Modules are loaded by one thread: two that import parts of one package may fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from saco_data.sandbox.demo import SUBSETS
from saco_data.sandbox.miniature import build, serve
from tests.helpers.folders import config

RUN = """
import sys, threading

class Finder:
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is not threading.main_thread():
            print("late", name, file=sys.stderr)
        return None

sys.meta_path.insert(0, Finder())
from saco_data.cli.main import main
main()
"""
CLIENTS = ("aiohttp", "botocore", "boto3", "fathomnet", "requests", "urllib3", "saco_data")


def test_no_source_loads_a_client_in_its_thread(tmp_path: Path) -> None:
    made = build(tmp_path, SUBSETS).subsets
    with serve(tmp_path / "raw", made) as mounts:
        settings = config(tmp_path, silver_path="silver", **mounts.keys)
        done = subprocess.run(
            [sys.executable, "-c", RUN, "prepare", "--config", str(settings.file)],
            env={**os.environ, **mounts.environment},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    late = [line.split()[1] for line in done.stderr.splitlines() if line.startswith("late ")]
    assert late  # what yt-dlp loads for a video
    assert not [name for name in late if name.split(".")[0] in CLIENTS]
