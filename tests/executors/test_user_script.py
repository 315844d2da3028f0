"""Workers never run the script of the user: its body runs once, however Python was started."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from saco_data.sandbox.packing import pack_tar
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.pipeline import products

# One statement a line: an interactive session takes it as it is.
BODY = """\
import saco_data
from pathlib import Path
open("ran.txt", "a").write("once ")
ended = saco_data.prepare(Path("CONFIG_FRAMES.yaml"), "sav")
print(f"code {ended.code}")
"""
GUARDED = 'if __name__ == "__main__":\n' + textwrap.indent(BODY, "    ")


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        pytest.param(BODY, ["script.py"], id="script"),
        pytest.param(GUARDED, ["script.py"], id="script with a guard"),
        pytest.param(BODY, ["-c", BODY], id="-c"),
        pytest.param(BODY, [], id="stdin"),
        pytest.param(BODY, ["-i"], id="interactive"),
    ],
)
def test_the_body_runs_once(tmp_path: Path, script: str, arguments: list[str]) -> None:
    (tmp_path / "videos_fps_6.tar").write_bytes(pack_tar(build_one(tmp_path, "sav").raw))
    settings = config(tmp_path, sav_videos_fps_6_download_path="videos_fps_6.tar")
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run(
        [sys.executable, *arguments],
        input="" if arguments[:1] in (["script.py"], ["-c"]) else script,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("code 0"), done.stdout + done.stderr
    assert (tmp_path / "ran.txt").read_text() == "once "
    assert len(products(settings, "sav")) == 9
