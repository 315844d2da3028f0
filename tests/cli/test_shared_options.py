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


@pytest.mark.parametrize("command", list(TABLE))
def test_every_command_takes_json_from_before_it_too(command: str) -> None:
    from saco_data.cli.common import Options

    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    (option,) = (each for each in found.params if "--json" in each.opts)
    for before in (False, True):
        context = click.Context(found, obj=Options(None, False, False, as_json=before))
        assert option.process_value(context, None) is before
        assert option.process_value(context, True) is True


def test_json_before_the_command_is_as_after_it(tmp_path: Path, saco: Saco) -> None:
    config(tmp_path)
    before, after = (
        saco("--json", "status", "nga", cwd=tmp_path),
        saco("status", "nga", "--json", cwd=tmp_path),
    )
    assert before.returncode == after.returncode == 0
    assert json.loads(before.stdout) == json.loads(after.stdout)


# An option without effect would let people believe that it had one.
IDLE = [
    "status --at there --reasons",
    "verify --full",
    "eval nga=p.json --published",
    "eval nga=p.json --do-not-skip-first-and-last-frame",
    "eval check nga=p.json --seed 1",
    "eval check nga=p.json --to r.json",
    "eval compare nga=p.json nga=p.json --to r.json",
    "eval compare nga=p.json nga=p.json --format md",
    "eval p.json --metric jf --iou segm",
    "eval p.json --metric JF --format md",
    "eval p.json --metric jf --ran ids.json",
]


@pytest.mark.parametrize("line", IDLE)
def test_an_option_without_effect_is_refused_by_name(tmp_path: Path, saco: Saco, line: str) -> None:
    config(tmp_path)
    done = saco(*line.split(), cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "has no effect" in done.stderr and "Leave it out" in done.stderr
    assert any(f"{word} has no effect" in done.stderr for word in line.split())
