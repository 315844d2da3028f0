"""Every command in README and docs is run, in the folder of a finished demo."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import click
import pytest

from saco_data.cli.main import saco as cli
from saco_data.cli.table import TABLE
from saco_data.model.reasons import Reason
from tests.conftest import ROOT, Saco

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES += sorted((ROOT / "pipelines").glob("*.md"))
# What stands for something else in a text.
EXAMPLES = {
    "ITEM": "GEODE_FILE",
    "[SUBSET...]": "",
    "[SUBSET]": "",
    "...": "",
    "FILE": "CONFIG_FRAMES.yaml",
}
# What needs cards of other laboratories, predictions or a live source: run by tests of their own.
ELSEWHERE = {"intersect", "demo", "annotations", "sync", "eval"}


def commands() -> set[str]:
    """Every `saco ...` in code spans and code blocks."""
    found: set[str] = set()
    for page in PAGES:
        text = page.read_text()
        spans = re.findall(r"`(saco [^`\n]+)`", text)
        blocks = re.findall(r"```\w*\n(.*?)```", text, re.S)
        lines = [line.strip() for block in blocks for line in block.splitlines()]
        spans += [line for line in lines if line.startswith("saco ")]
        found |= {span.partition(" #")[0].strip() for span in spans}
    return found


def test_there_are_commands_to_run() -> None:
    assert {"saco plan", "saco doctor", "saco card --to nga-card nga"} <= commands()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_code_is_fenced_so_that_its_commands_are_found(page: Path) -> None:
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.S | re.M)
    assert not re.findall(r"^\n(?: {4}|\t).*", text, re.M)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, saco: Saco) -> Path:
    base = tmp_path_factory.mktemp("docs")
    assert saco("demo", "here", cwd=base).returncode == 0
    return base / "here"


@pytest.mark.parametrize("command", sorted(commands()))
def test_a_documented_command_runs(folder: Path, saco: Saco, command: str) -> None:
    words = command.split()[1:]
    name = next((word for word in words if word in TABLE), None)
    assert name, f"{command}: no such command"
    if name in ELSEWHERE:
        assert saco(name, "--help", cwd=folder).returncode == 0
        return
    item = next((folder / "data" / "silver" / "images" / "geode").iterdir()).name
    arguments = [EXAMPLES.get(word, word) for word in words]
    arguments = [item if word == "GEODE_FILE" else word for word in arguments if word]
    done = saco(*arguments, cwd=folder)
    assert done.returncode in (0, 4) if name == "doctor" else done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_every_file_that_a_run_leaves_is_described(folder: Path) -> None:
    text = (ROOT / "docs" / "folders.md").read_text()
    places = {
        "silver_path": "data/silver",
        "path_annotations": "miniature/annotations",
        "directory_save": "data/previews",
    }
    patterns = []
    for row in re.findall(r"^\| (`.*?) \|", text, re.M):
        for path in re.findall(r"`<(.*?)`", row):
            key, _, rest = path.partition(">")
            name = key.removesuffix("_path").replace("subset", "*")
            patterns.append(places.get(key, f"data/{name}") + re.sub(r"<.*?>", "*", rest))
    left = [*(folder / "data").rglob("*"), *(folder / "miniature" / "annotations").rglob("*")]
    for path in left:
        name = str(path.relative_to(folder))
        assert path.is_dir() or any(fnmatch(name, each) for each in patterns), name


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.OK, Reason.NOT_TRIED}))
def test_troubleshooting_knows_every_reason(reason: Reason) -> None:
    rows = re.findall(r"^\| (.*?) \|", (ROOT / "docs" / "troubleshooting.md").read_text(), re.M)
    assert any(f"`{reason}`" in row for row in rows)


def documented() -> dict[str, set[str]]:
    """The options of each command by docs/commands.md; `saco` stands for those before it."""
    text = (ROOT / "docs" / "commands.md").read_text()
    found: dict[str, set[str]] = {}
    _heading, *rows = re.findall(r"^\| (.*?) ?\| (.*?) ?\|", text, re.M)
    for command, options in rows:
        if command:
            name = command.strip("`").removeprefix("saco ").split()[0]
            found[name] = set()
        found[name] |= {word for word in re.findall(r"[\w-]+", options) if word[0] == "-"}
    return found


def test_every_command_and_option_is_documented_and_no_other() -> None:
    page = documented()
    everywhere = page.pop("every")
    assert list(page) == ["saco", *TABLE]
    top = click.Context(cli, **cli.context_settings)
    for name, options in page.items():
        command = cli if name == "saco" else cli.get_command(top, name)
        assert command is not None
        params = command.get_params(click.Context(command, parent=top))
        real = {word for each in params for word in each.opts if word[0] == "-"}
        assert real == options | (everywhere if name != "saco" else {"-h", "--help"}), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_make_targets_that_are_named_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for target in re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", page.read_text(), re.M):
            name = target[0] or target[1]
            assert f"\n{name}:" in makefile, name
