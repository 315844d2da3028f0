"""The command line: exit codes, one clear line for every mistake, help without heavy imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from saco_data.cli.table import TABLE
from tests.conftest import Saco
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one


@pytest.mark.parametrize(
    ("arguments", "text", "words"),
    [
        (["prepare", "geod"], "", "Did you mean 'geode'"),
        (["prepar"], "", "No such command"),
        (["status", "--jason"], "", "No such option"),
        (["--config", "none.yaml", "status"], "", "cannot be read"),
        (["status"], "geode_raw: <YOUR_GEODE>\n", ":1: geode_raw: the placeholder <YOUR_GEODE>"),
        (["status"], "a: [\n", "is not YAML"),
    ],
)
def test_a_mistake_exits_2_with_one_clear_line(
    tmp_path: Path, saco: Saco, arguments: list[str], text: str, words: str
) -> None:
    (tmp_path / "CONFIG_FRAMES.yaml").write_text(text)
    done = saco(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr and done.stdout == ""


def test_no_config_anywhere_says_what_to_do(tmp_path: Path, saco: Saco) -> None:
    done = saco("status", cwd=tmp_path)
    assert done.returncode == 2 and "--config" in done.stderr


def test_status_has_the_promised_shape(tmp_path: Path, saco: Saco) -> None:
    build_one(tmp_path, "geode")
    config(tmp_path)
    saco("prepare", "geode", cwd=tmp_path)
    status = json.loads(saco("status", "geode", "--json", cwd=tmp_path).stdout)
    subset = status["subsets"]["geode"]
    assert set(subset) >= {
        "products",
        "image_nps",
        "masks",
        "reasons",
        "keep_list_sha256",
        "complete",
    }
    assert set(subset["products"]) == {"total", "done", "pending", "failed", "blocked", "gone"}
    assert subset["products"]["blocked"] == subset["products"]["total"] == 6
    assert subset["reasons"] == {"raw_missing": 6}
    assert status["complete"] is False


def test_status_without_anything_prepared_works(tmp_path: Path, saco: Saco) -> None:
    config(tmp_path)
    done = saco("status", cwd=tmp_path)
    assert done.returncode == 0
    assert not (tmp_path / "data").exists(), "status writes nothing"


@pytest.mark.parametrize("command", list(TABLE))
def test_help_fits_a_terminal_and_gives_an_example(saco: Saco, command: str) -> None:
    done = saco(command, "--help", cwd=Path.cwd())
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "Example" in done.stdout


def test_without_a_command_the_help_is_shown(tmp_path: Path, saco: Saco) -> None:
    done = saco(cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == saco("--help", cwd=tmp_path).stdout
    error = json.loads(saco("--json", cwd=tmp_path).stdout)["error"]
    assert (error["what"], error["remedy"]) == ("Missing command", "See `saco --help`")


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, saco_data.cli.main as c\n"
        "try: c.saco.main(['--help'], standalone_mode=False)\n"
        "except SystemExit: pass\n"
        "heavy = {'av', 'numpy', 'pandas', 'aiohttp', 'boto3', 'yt_dlp', 'pydantic', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
