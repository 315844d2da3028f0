"""The docs say what is true: commands run, names exist, generated parts are up to date."""

from __future__ import annotations

import ast
import configparser
import importlib
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import saco_data
from saco_data.catalog.registry import builtin, manifests_folder
from saco_data.cli.main import saco as cli
from saco_data.cli.table import TABLE
from saco_data.config.keys import CollectionKeys, Keys
from saco_data.config.settings import subset_keys
from saco_data.model.errors import SEVERITY, SacoError
from saco_data.model.reasons import Reason
from saco_data.sandbox.miniature import build, serve
from saco_data.transports.base import Failure
from tests.conftest import ROOT, Saco

PAGES = [ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")]
PAGES += [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "pipelines").glob("*.md"))]
GENERATOR = ROOT / "docs" / "generate.py"
# What stands for something else in a text.
EXAMPLES = {
    "ITEM": "GEODE_FILE",
    "[SUBSET...]": "",
    "[SUBSET]": "",
    "...": "",
    "COMMAND": "status",
    "mine": "silver",
    "mine/birds": "silver/geode",
    "FILE": "CONFIG_FRAMES.yaml",
}
# What needs cards of others, own masks, predictions or a live source: tests of their own run it.
ELSEWHERE = {"init", "intersect", "compare", "diff", "demo", "annotations", "sync"}
ELSEWHERE |= {"clicks", "convert", "eval", "export", "push", "seek-index"}


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
    words = [EXAMPLES.get(word, word) for word in command.split()[1:]]
    name = next((word for word in words if word in TABLE), None)
    assert name, f"{command}: no such command"
    if name in ELSEWHERE:
        assert saco(name, "--help", cwd=folder).returncode == 0
        return
    item = next((folder / "data" / "silver" / "images" / "geode").iterdir()).name
    arguments = [item if word == "GEODE_FILE" else word for word in words if word]
    done = saco(*arguments, cwd=folder)
    assert done.returncode in (0, 4) if name == "doctor" else done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def test_the_python_examples_run(folder: Path) -> None:
    text = (ROOT / "docs" / "python.md").read_text()
    examples = re.findall(r"```python\n(.*?)```", text, re.S)
    assert examples
    for code in examples:
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout, done.stderr


def test_the_example_runs_over_the_demo(folder: Path) -> None:
    example = ROOT / "examples" / "colours.py"
    assert len(example.read_text().splitlines()) < 30
    command = [sys.executable, str(example)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    number, interval_from = done.stdout.splitlines()[1].split()[1::3][:2]
    assert 0 < float(number) < 90 and float(interval_from) >= 0
    assert "on 22 of " in done.stdout and done.stdout.strip().endswith(".html")
    assert len(json.loads((folder / "geode.result.json").read_text())["subsets"]["geode"]) > 10


def test_every_public_name_of_python_is_documented() -> None:
    text = (ROOT / "docs" / "python.md").read_text()
    names = set(saco_data.__all__) - {"__version__"}
    assert set(re.findall(r"^## `saco\.(\w+)\(", text, re.M)) == names


def test_every_file_that_a_run_leaves_is_described(folder: Path) -> None:
    text = (ROOT / "docs" / "folders.md").read_text()
    places = {
        "silver_path": "data/silver",
        "path_annotations": "miniature/annotations",
        "directory_save": "data/previews",
    }
    patterns = []
    for row in re.findall(r"^- (`<.*?):", text, re.M):
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
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    items = re.findall(r"^- (`.*?):\s", text, re.M | re.S)
    assert any(f"`{reason}`" in item for item in items)


def sources() -> dict[Path, ast.Module]:
    """The syntax trees of the package, by file."""
    return {
        path: ast.parse(path.read_text())
        for path in sorted(Path(saco_data.__file__).parent.rglob("*.py"))
    }


def test_troubleshooting_knows_every_class_of_errors_with_its_exit_code(
    generator: dict[str, Any],
) -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    classes = generator["error_classes"]()
    # By another way than the generator's: what has our base class after everything was imported.
    known = {SacoError}
    while more := {each for base in known for each in base.__subclasses__()} - known:
        known |= more
    ours = {each for each in known if each.__module__.startswith("saco_data.")} - {SacoError}
    assert ours <= set(classes) and len(classes) == len(set(classes)) >= 20
    codes = {0, *(each.exit_code for each in classes)}
    assert codes == set(SEVERITY)
    for each in classes:
        assert f"- exit {each.exit_code}, `{each.__name__}`: " in text


def test_every_error_says_what_to_do(generator: dict[str, Any]) -> None:
    """Where it is made; `Failure` and what derives from it say "Run the same command again"."""
    classes = {each.__name__: each for each in generator["error_classes"]()}
    assert Failure("x").remedy
    seen = 0
    for path, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                made = classes.get(node.func.id)
                if made is None:
                    continue
                seen += 1
                given = {each.arg for each in node.keywords}
                assert issubclass(made, Failure) or given & {"remedy", None}, (
                    f"{path.name}:{node.lineno}"
                )
    assert seen > 200


def names_of_checks() -> Iterator[tuple[str, str]]:
    """(place, name) of each finding of the doctor whose name begins with fixed words."""
    for path, tree in sources().items():
        if path.parent.name not in ("doctor", "sources") and path.name != "doctor.py":
            continue
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            values: dict[str, ast.expr] = {}
            for node in ast.walk(function):
                if isinstance(node, ast.Assign):
                    to, value = node.targets[0], node.value
                    if isinstance(to, ast.Tuple) and isinstance(value, ast.Tuple):
                        values |= zip(map(ast.unparse, to.elts), value.elts, strict=True)
                    values[ast.unparse(to)] = value
            for node in ast.walk(function):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                if ast.unparse(node.func).rpartition(".")[2] not in (
                    "ok",
                    "warn",
                    "fail",
                    "Finding",
                ):
                    continue
                name = values.get(ast.unparse(node.args[0]), node.args[0])
                parts = name.values if isinstance(name, ast.JoinedStr) else [name]
                if isinstance(parts[0], ast.Constant):
                    yield f"{path.name}:{node.lineno}", str(parts[0].value).strip()


def test_troubleshooting_knows_every_check_of_the_doctor() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    (section,) = re.findall(r"^## What `saco doctor` checks\n(.*?)^## ", text, re.S | re.M)
    items = re.findall(r"^- (`.*?):\s", section, re.M | re.S)
    known = {name for item in items for name in re.findall(r"`([^`]+)`", item)}
    found = dict(names_of_checks())
    assert set(found.values()) <= known
    # The others are named after a subset or a program.
    assert known - set(found.values()) <= {"<subset>", "<subset> online", "gsutil", "ego4d"}


def documented() -> dict[str, set[str]]:
    """The options of each command by docs/commands.md; `saco` stands for those before it."""
    text = (ROOT / "docs" / "commands.md").read_text()
    found: dict[str, set[str]] = {}
    for section in text.split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        name = heading.strip("`").removeprefix("saco ").split()[0].strip("`:")
        options = " ".join(re.findall(r"^- (`-.*?):", body, re.M))
        found[name.lower()] = {word for word in re.findall(r"[\w-]+", options) if word[0] == "-"}
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


def json_examples() -> dict[str, list[Any]]:
    """The JSON examples of docs/commands.md by command."""
    text = (ROOT / "docs" / "commands.md").read_text()
    found: dict[str, list[Any]] = {}
    for section in text.split("\n## ")[1:]:
        name = section.removeprefix("`saco ").split()[0].strip("`")
        found[name] = [json.loads(each) for each in re.findall(r"```json\n(.*?)```", section, re.S)]
    return found


# The commands whose examples are compared with what they print over the demo.
PRINTED: dict[str, tuple[str, ...]] = {
    "init": ("init new",),
    "annotations": ("annotations nga --from miniature/annotations",),
    "plan": ("plan nga",),
    "doctor": ("doctor nga",),
    "clicks": ("clicks nga --to nga-clicks.jsonl",),
    "push": ("push place nga",),
    "verify": ("verify nga --at place",),
    "eval": ("eval predictions/nga.json",),
    "status": ("status nga", "status nga --reasons"),
    "history": ("history GONE",),
    "card": ("card nga --to our-card",),
    "intersect": ("intersect our-card --to both --subset nga",),
    "diff": ("diff our-card data/silver --subset nga",),
    "lock": ("lock nga sav --against-masks",),
    "compare": ("compare data/silver/lock.parquet --subset nga",),
    "report": ("report nga --to r.html",),
    "preview": ("preview nga",),
    "seek-index": ("seek-index inaturalist --to i.gz --config served.yaml",),
    "export": ("export coco nga --to nga-coco",),
}


# In a card after `saco lock`, and after `saco lock --against-masks`.
ONLY_SOMETIMES = {"lock_sha256", "against_masks"}


def assert_has_keys(example: Any, real: Any, path: str) -> None:
    """Every key of an example is in what is printed, and at the top no other."""
    if isinstance(example, dict) and isinstance(real, dict):
        if path.count(".") == 0:
            assert set(example) - ONLY_SOMETIMES == set(real) - ONLY_SOMETIMES, path
        for key, value in example.items():
            if path.endswith(("copies", "only_a", "only_b")):  # names of files, reasons
                continue
            assert key in real, f"{path}.{key}"
            assert_has_keys(value, real[key], f"{path}.{key}")
    elif isinstance(example, list) and isinstance(real, list) and example and real:
        assert_has_keys(example[0], real[0], path)


@pytest.fixture
def served(folder: Path) -> Iterator[None]:
    """`served.yaml`, a config whose source of iNaturalist answers."""
    made = build(folder / "served", ["inaturalist"])
    with serve(folder / "served", made.subsets) as mounts:
        keys = {"path_annotations": str(made.annotations), "silver_path": "served/silver"}
        (folder / "served.yaml").write_text(yaml.safe_dump({**keys, **mounts.keys}))
        yield


@pytest.mark.usefixtures("served")
def test_the_json_examples_have_the_keys_that_are_printed(folder: Path, saco: Saco) -> None:
    examples = json_examples()
    with_json = {name for name in TABLE if examples[name]}
    assert with_json == {*PRINTED, "convert", "sync"}
    reasons = json.loads(saco("status", "nga", "--reasons", "--json", cwd=folder).stdout)
    gone = reasons["reasons"][0]["examples"][0]["file_name"]
    for name, lines in PRINTED.items():
        for example, line in zip(examples[name], lines, strict=True):
            words = [gone if word == "GONE" else word for word in line.split()]
            done = saco(*words, "--json", cwd=folder)
            real = json.loads(done.stdout)
            assert "error" not in real and real["version"] == 1, line
            assert_has_keys(example, real, name)
    error = json.loads(saco("status", "nag", "--json", cwd=folder).stdout)
    assert_has_keys(examples["Every"][0], error, "error")


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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_lines_are_short_enough_to_read_anywhere(page: Path) -> None:
    for number, line in enumerate(page.read_text().splitlines(), 1):
        is_address = re.fullmatch(r"\s*`https?://\S+`", line)
        assert len(line) <= 120 or is_address, f"{page.name}:{number} has {len(line)} characters"


@pytest.fixture(scope="module")
def generator() -> dict[str, Any]:
    return runpy.run_path(str(GENERATOR))


def test_generated_parts_are_up_to_date(generator: dict[str, Any]) -> None:
    for path, text in generator["render_all"]().items():
        assert path.read_text() == text, f"{path.name}: run `make docs`"


def test_every_generated_block_is_in_a_page(generator: dict[str, Any]) -> None:
    text = "".join((ROOT / name).read_text() for name in generator["PAGES"])
    assert set(re.findall(r"<!-- generated: ([\w-]+) -->", text)) == set(generator["BLOCKS"])
    for manifest in builtin().manifests:
        assert manifest.access.page in text and manifest.citation.split(",")[0] in text


def test_what_is_out_of_date_is_written_anew(generator: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "subsets.md").read_text()
    assert generator["render_page"](page.replace("7,570 masks", "7,571 masks")) == page
    script = (ROOT / "pipelines" / "saco-sync.slurm").read_text()
    old = script.replace(" nga ", " ").replace("--array=0-9%1", "--array=0-8%1")
    assert old != script and generator["render_slurm"](old) == script


def test_every_key_of_the_config_is_documented() -> None:
    text = (ROOT / "docs" / "config.md").read_text()
    code = set(re.findall(r"`([a-z0-9_<>]+)`", text))
    patterns = {re.escape(key).replace("<subset>", r"\w+") for key in code}
    for key in [*Keys.model_fields, *CollectionKeys.model_fields, *subset_keys()]:
        assert any(re.fullmatch(pattern, key) for pattern in patterns), key


def locate(path: str) -> Path:
    """Where a path of the repository is; the package may be installed elsewhere."""
    top, _, rest = path.partition("/")
    if top == "saco_data":
        return Path(saco_data.__file__).parent / rest
    return manifests_folder() / rest if top == "manifests" else ROOT / path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_modules_and_functions_that_are_named_exist(page: Path) -> None:
    """`saco_data/a.py`, and `saco_data/a.py`: `name` for something defined there."""
    text = page.read_text()
    for path in re.findall(r"`((?:saco_data|tests|docs|manifests|benchmarks)/[\w/.-]*)`", text):
        assert locate(path).exists(), path
    for path, name in re.findall(r"`(saco_data/[\w/]+)\.py`:\s+`([\w.]+)`", text):
        found: Any = importlib.import_module(path.replace("/", ".").removesuffix(".__init__"))
        for part in name.split("."):
            found = getattr(found, part)


def test_the_layers_are_those_that_are_checked() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = contracts["importlinter:contract:layers"]["layers"].split("\n")
    _, page = (ROOT / "docs" / "architecture.md").read_text().split("## Packages and layers")
    lines = page.split("```")[1].strip().splitlines()
    assert [line.split("  ")[0] for line in lines] == [each for each in layers if each]
