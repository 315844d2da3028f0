"""The newcomer's walk of docs/first-steps.md, over the miniature of GeoDE."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from saco_data.sandbox.miniature import build, serve
from tests.conftest import ROOT, Saco

PAGE = ROOT / "docs" / "first-steps.md"


def test_five_commands_lead_from_an_archive_to_a_number(tmp_path: Path, saco: Saco) -> None:
    text = PAGE.read_text()
    (block,) = re.findall(r"^```\n(.*?)^```", text, re.S | re.M)
    (code,) = re.findall(r"```py\n(.*?)```", text, re.S)
    (tmp_path / "my_model.py").write_text(textwrap.dedent(code))
    lines = block.splitlines()
    assert len(lines) == 5 and lines[0] == "pip install ."
    assert f"\n{lines[0]} " in (ROOT / "README.md").read_text()
    built = build(tmp_path / "data", ["geode"])  # annotations where the config looks for them
    with serve(tmp_path / "raw", built.subsets) as mounts:
        (tmp_path / "geode.zip").symlink_to(mounts.keys["geode_raw"])
        for line in lines:
            if line.startswith("pip install "):
                continue  # the tests run what is installed
            program, *words = line.split()
            begun = time.monotonic()
            if program == "saco":
                done = saco(*words, cwd=tmp_path)
            else:
                command = [sys.executable, *words]
                done = subprocess.run(
                    command, cwd=tmp_path, capture_output=True, text=True, check=False
                )
            print(f"{time.monotonic() - begun:.1f} s  {line}")
            assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
    number = done.stdout.splitlines()[1].split()
    assert number[0] == "geode" and 0 < float(number[1]) < 100
    assert "on 22 of " in done.stdout
