"""A place where nothing can be written is refused before the work begins, and left as it is."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from saco_data.cli.main import saco as cli
from saco_data.cli.table import TABLE
from saco_data.model.errors import OutputError, UsageError
from saco_data.sandbox.miniature import build
from tests.helpers.folders import config
from tests.helpers.read_only import run_as_reader

# What each command writes: a file or a folder. PLACE stands for its name.
FILES = (
    "report nga --to PLACE",
    "report nga --eval result.json --to PLACE",
    "lock nga --to PLACE",
    "compare lock.parquet --to PLACE",
    "seek-index inaturalist --to PLACE",
    "eval nga.json --to PLACE",
    "clicks nga --to PLACE",
)
FOLDERS = (
    "preview nga --to PLACE",
    "card nga --to PLACE",
    "intersect nga.keep.txt --to PLACE",
    "convert vos videos --to PLACE",
    "export coco nga --to PLACE",
    "push PLACE nga",
    "init PLACE",
    "demo PLACE",
)


def _make_fifo(place: Path) -> None:
    os.mkfifo(place)


def _make_device(place: Path) -> None:
    # A link: what is done wrong must not touch the device of this machine.
    place.symlink_to(os.devnull)


def _make_below_file(place: Path) -> None:
    place.parent.write_text("a file")


def _make_folder(place: Path) -> None:
    place.mkdir()


def _make_file(place: Path) -> None:
    place.write_text("a file")


# Where the place is, and what is made there beforehand.
PLACES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "process": ("/proc/x", lambda place: None),
    "below the processes": ("/proc/x/y", lambda place: None),
    "pipe": ("pipe", _make_fifo),
    "device": ("device", _make_device),
    "below a device": ("device/x", lambda place: _make_device(place.parent)),
    "below a file": ("file/x", _make_below_file),
    "name too long": ("n" * 300, lambda place: None),
    "no name": ("", lambda place: None),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a config, and the inputs that the commands want to see."""
    build(tmp_path, ["nga", "inaturalist"])
    config(tmp_path)
    for name in ("result.json", "nga.json", "nga.keep.txt"):
        (tmp_path / name).write_text("[]")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refuse(line: str, place: str) -> None:
    """Runs a command, which must refuse the place with exit code 2."""
    words = [place if word == "PLACE" else word for word in line.split()]
    before = describe(Path(place))
    error = CliRunner().invoke(cli, words, standalone_mode=False).exception
    assert isinstance(error, UsageError) or type(error).__module__.startswith("click."), error
    assert not isinstance(error, OutputError) or error.remedy
    assert describe(Path(place)) == before


def describe(place: Path) -> list[object]:
    """What is at a place and beside it."""
    try:
        mode = stat.S_IFMT(place.lstat().st_mode)
    except OSError:
        mode = 0
    beside = place.parent if place.parent.is_dir() else Path()
    return [mode, [] if "/proc" in str(place) else sorted(beside.iterdir())]


def test_every_command_that_writes_where_it_is_told_is_here() -> None:
    named = {line.split()[0] for line in (*FILES, *FOLDERS)}
    for name in TABLE:
        command = cli.get_command(cli.make_context("saco", [], resilient_parsing=True), name)
        assert command is not None
        options = {word for each in command.params for word in each.opts}
        assert "--to" not in options or name in named, name


@pytest.mark.parametrize("line", [*FILES, *FOLDERS])
@pytest.mark.parametrize("name", PLACES)
def test_a_place_that_cannot_be_written_is_refused(folder: Path, line: str, name: str) -> None:
    place, make = PLACES[name]
    if not place and line.split()[0] in ("init", "demo", "push", "export"):
        return  # there it is this folder
    make(folder / place)
    refuse(line, place)


@pytest.mark.parametrize("line", FILES)
def test_a_folder_in_place_of_a_file_is_refused(folder: Path, line: str) -> None:
    (folder / "there").mkdir()
    refuse(line, "there")


@pytest.mark.parametrize("line", FOLDERS)
def test_a_file_in_place_of_a_folder_is_refused(folder: Path, line: str) -> None:
    (folder / "there").write_text("a file")
    refuse(line, "there")
    assert (folder / "there").read_text() == "a file"


@pytest.mark.parametrize("line", [*FILES, *FOLDERS])
def test_a_folder_of_somebody_else_is_refused(folder: Path, line: str) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o555)
    words = [word.replace("PLACE", "closed/new/x") for word in line.split()]
    done = run_as_reader(*words, cwd=folder)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1 and "cannot write" in done.stderr
    assert str(closed) in done.stderr and not list(closed.iterdir())
