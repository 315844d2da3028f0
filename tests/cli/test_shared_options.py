"""Options after the command as well as before it; names in any case; shell completion."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from saco_data.cli.main import saco as cli
from saco_data.cli.table import TABLE
from tests.conftest import Saco
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one


@pytest.mark.parametrize("command", list(TABLE))
def test_every_command_takes_the_shared_options_once(command: str) -> None:
    for _ in range(2):  # a command that is looked up twice does not get them twice
        found = cli.get_command(click.Context(cli), command)
    assert found is not None
    words = [word for each in found.params for word in each.opts]
    assert {"--config", "--jobs", "-q", "-v"} <= set(words)
    assert len(words) == len(set(words))


def test_an_option_after_the_command_works_and_wins(tmp_path: Path, saco: Saco) -> None:
    for name in ("a", "b"):
        folder = tmp_path / name
        folder.mkdir()
        config(folder, geode_raw=f"{name}.zip")
        build_one(folder, "geode")
    a, b = (tmp_path / name / "CONFIG_FRAMES.yaml" for name in ("a", "b"))
    for arguments, raw in (
        (["--config", a, "prepare", "geode"], "a.zip"),
        (["prepare", "geode", "--config", b, "-q", "--jobs", "1"], "b.zip"),
        (["--config", a, "prepare", "--config", b, "-q", "GEODE"], "b.zip"),
    ):
        done = saco(*arguments, cwd=tmp_path)
        assert done.returncode == 4
        assert f"{raw} does not exist" in done.stderr
        assert ("6 of 6 files to make" in done.stderr) == ("-q" not in arguments)


def test_jobs_replace_those_of_the_config(tmp_path: Path) -> None:
    from saco_data.cli.common import Options

    config(tmp_path, jobs=3, limits={"nga": {"concurrency": 2}}, hf_token="x")
    file = tmp_path / "CONFIG_FRAMES.yaml"
    assert Options(file, False, False, None).settings().keys.jobs == 3
    changed = Options(file, False, False, 7).settings().keys
    assert changed.jobs == 7 and changed.limits["nga"].concurrency == 2
    assert changed.hf_token is not None and changed.hf_token.get_secret_value() == "x"


def test_upper_case_names_are_understood(tmp_path: Path, saco: Saco) -> None:
    config(tmp_path)
    done = saco("STATUS", "NGA", "Silver/GeoDE", "--json", cwd=tmp_path)
    assert list(json.loads(done.stdout)["subsets"]) == ["nga", "geode"]


def _complete(folder: Path, words: str) -> set[str]:
    """What bash would offer for the last of these words."""
    typed = words.split(" ")
    done = subprocess.run(
        [Path(sys.executable).with_name("saco")],
        cwd=folder,
        env={
            **os.environ,
            "_SACO_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(typed) - 1),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return {line.partition(",")[2] for line in done.stdout.splitlines()}


def test_the_shell_completes_commands_options_and_subsets(tmp_path: Path) -> None:
    assert _complete(tmp_path, "saco pr") == {"process", "prune", "prepare", "preview"} & set(TABLE)
    assert _complete(tmp_path, "saco prepare --conf") == {"--config", "--confirm-gone"}
    assert _complete(tmp_path, "saco prepare nga inat") == {"inaturalist"}
    assert _complete(tmp_path, "saco plan sa-v/t") == {"sa-v/test", "sa-v/train"}
    assert _complete(tmp_path, "saco status Si") == {"silver"}
    assert _complete(tmp_path, "saco preview ego") == {"ego4d"}
    assert _complete(tmp_path, "saco eval x.json --subset n") == {"nga"}


def test_the_shell_completes_collections_of_the_config(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "collection.yaml").write_text("name: mine\ntitle: Mine\nsubsets: []\n")
    config(tmp_path, collections={"mine": {"manifests": "own"}})
    assert _complete(tmp_path, "saco plan mi") == {"mine"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(tmp_path: Path, shell: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("saco")],
        cwd=tmp_path,
        env={**os.environ, "_SACO_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "_SACO_COMPLETE" in done.stdout
