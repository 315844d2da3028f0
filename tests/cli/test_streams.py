"""Closed streams, readers that go away, deleted folders, small limits: usual codes, or words."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.tiny_subset import SUBSET, TinySubset

SACO = str(Path(sys.executable).with_name("saco"))
COMMANDS = {
    "prepare": (["prepare", SUBSET], 0),
    "status": (["status", SUBSET], 0),
    "reasons": (["status", "--reasons", SUBSET], 0),
    "plan": (["plan", SUBSET], 0),
    "history": (["history", SUBSET, "x.jpg"], None),
    "help": (["--help"], 0),
    "unknown": (["prepare", "nothing"], 2),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    small = TinySubset(tmp_path_factory.mktemp("small"))
    small.prepare()
    return small.folder


def code_of(folder: Path, command: str, how: str) -> int:
    """The exit code of a command line in a shell, without that of what reads it."""
    script = f"{SACO} {command} {how}"
    return subprocess.run(
        ["bash", "-c", script], cwd=folder, capture_output=True, check=False
    ).returncode


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "how",
    [
        ">&-",
        "2>&-",
        ">&- 2>&- <&-",
        "| true; exit ${PIPESTATUS[0]}",
        "2>&1 | true; exit ${PIPESTATUS[0]}",
    ],
)
def test_the_exit_code_is_the_usual_one(folder: Path, command: str, how: str) -> None:
    arguments, code = COMMANDS[command]
    usual = code_of(folder, " ".join(arguments), "")
    assert code_of(folder, " ".join(arguments), how) == usual
    assert code is None or usual == code


def test_a_closed_stream_does_not_reach_the_ledger(tmp_path: Path) -> None:
    small = TinySubset(tmp_path)
    assert code_of(tmp_path, f"prepare {SUBSET}", ">&- 2>&- <&-") == 0
    head = (small.settings.state / "ledger.sqlite").read_bytes()[:15]
    assert head == b"SQLite format 3"


@pytest.mark.parametrize("command", ["status", "prepare", "doctor", "plan"])
def test_a_deleted_working_directory(tmp_path: Path, command: str, folder: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    for config, allowed in (("", {2}), (f"--config {folder}/CONFIG_FRAMES.yaml ", {0, 3, 4})):
        gone.mkdir(exist_ok=True)
        script = f"cd {gone} && rmdir {gone} && {SACO} {config}{command}"
        if config:
            script += f" {SUBSET}"
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
        assert done.returncode in allowed, done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("limit", ["-n 12", "-n 20", "-n 40", "-v 400000", "-u 1"])
def test_small_limits_are_told_in_words(tmp_path: Path, limit: str) -> None:
    if limit.startswith("-u") and os.geteuid() == 0:
        pytest.skip("root has no such limit")
    TinySubset(tmp_path)
    script = f"ulimit {limit} && {SACO} prepare {SUBSET}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode != 1, done.stderr


@pytest.mark.parametrize("command", ["prepare", "status", "plan", "doctor", "sync", "report"])
@pytest.mark.parametrize("key", ["silver_path", "path_annotations", "bdd100k_path"])
def test_a_folder_that_cannot_be_made_or_entered(tmp_path: Path, command: str, key: str) -> None:
    small = TinySubset(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    text = (tmp_path / "CONFIG_FRAMES.yaml").read_text()
    lines = [line for line in text.splitlines() if not line.startswith(f"{key}:")]
    (tmp_path / "CONFIG_FRAMES.yaml").write_text("\n".join([*lines, f"{key}: file/below", ""]))
    done = subprocess.run(
        [SACO, command, SUBSET], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stderr
    said = done.stdout + done.stderr  # `doctor` reports on stdout
    assert f"CONFIG_FRAMES.yaml:{len(lines) + 1}: {key}: " in said and "is not a folder" in said
    shutil.rmtree(small.folder, ignore_errors=True)
