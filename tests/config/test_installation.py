"""The advice on installing an extra, carried out by the real pip for each way to install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import venv
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import pytest

from saco_data.config import installation

# A package of the same name, and one that its extra needs.
PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "{name}"
version = "1"
requires-python = ">=3.11"
optional-dependencies = {{ demo = ["extra-of-demo>=1"], other = ["not-to-be-found"] }}
[tool.hatch.build]
include = ["*.py"]
dev-mode-dirs = ["."]
[tool.hatch.build.targets.wheel]
bypass-selection = true
"""
BACKEND = ("hatchling", "packaging", "pathspec", "pluggy", "trove_classifiers")


class Environment:
    """A virtual environment with pip, which asks no index."""

    def __init__(self, folder: Path, web: ThreadingHTTPServer) -> None:
        self.web, self.url = web, f"http://127.0.0.1:{web.server_port}"
        self.wheels = folder / "wheels"
        venv.create(folder / "venv", with_pip=True)
        self.python = folder / "venv" / "bin" / "python"
        (self.packages,) = (folder / "venv").glob("lib/python3*/site-packages")
        # The build backend of the environment that runs the tests, and nothing else of it.
        for name in BACKEND:
            found = import_module(name).__file__
            assert found is not None
            (self.packages / name).symlink_to(Path(found).parent)
        self.project = write_project(folder / "a project", "saco-data")
        for each in (self.project, write_project(folder / "extra", "extra-of-demo")):
            self.shell(f"pip wheel --no-deps -w '{self.wheels}' '{each}'")

    def shell(self, command: str) -> None:
        """Runs a command with this environment activated."""
        environment = {
            **os.environ,
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_NO_BUILD_ISOLATION": "0",  # of pip: "0" switches the isolation off
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        done = subprocess.run(command, shell=True, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stdout, done.stderr)

    def has_extra(self) -> bool:
        return any(self.packages.glob("extra_of_demo-1.dist-info"))


def write_project(folder: Path, name: str) -> Path:
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT.format(name=name))
    (folder / f"{name.replace('-', '_')}_of_the_test.py").touch()
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with ThreadingHTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as web:
        threading.Thread(target=web.serve_forever).start()
        yield Environment(tmp_path_factory.mktemp("installation"), web)
        web.shutdown()


@pytest.fixture
def environment(made: Environment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    """The environment, which `how_to_install` takes for its own."""
    monkeypatch.setattr(sys, "executable", str(made.python))
    monkeypatch.syspath_prepend(made.packages)
    yield made
    made.shell("pip uninstall -y saco-data extra-of-demo")


def folder(environment: Environment, scratch: Path) -> str:
    return f"'{environment.project}'"


def editable(environment: Environment, scratch: Path) -> str:
    return f"-e '{environment.project}'"


def wheel(environment: Environment, scratch: Path) -> str:
    return f"{environment.wheels}/saco_data-1-py3-none-any.whl"


def removed_wheel(environment: Environment, scratch: Path) -> str:
    return str(shutil.copy(wheel(environment, scratch), str(scratch)))


def sdist(environment: Environment, scratch: Path) -> str:
    environment.shell(
        f"cd '{environment.project}' && python -m hatchling build -t sdist -d '{scratch}'"
    )
    return f"{scratch}/saco_data-1.tar.gz"


def repository(environment: Environment, scratch: Path) -> str:
    shutil.copytree(environment.project, scratch / "repository" / "inside")
    git = "git -c user.name=x -c user.email=x@example.org"
    steps = ("git init -q", "git add .", f"{git} commit -q -m first", "git update-server-info")
    environment.shell(f"cd '{scratch}/repository' && " + " && ".join(steps))
    environment.web.RequestHandlerClass = partial(SimpleHTTPRequestHandler, directory=str(scratch))
    return f"'saco-data @ git+{environment.url}/repository/.git#subdirectory=inside'"


def index(environment: Environment, scratch: Path) -> str:
    return "saco-data"


Way = Callable[[Environment, Path], str]
WAYS: dict[Way, str] = {
    editable: "pip install -e '{project}[demo]'",
    folder: "pip install 'saco-data[demo] @ file://{url}'",
    wheel: "pip install 'saco-data[demo] @ file://{wheels}/saco_data-1-py3-none-any.whl'",
    removed_wheel: "pip install 'extra-of-demo>=1'",
    sdist: "pip install 'saco-data[demo] @ file://{scratch}/saco_data-1.tar.gz'",
    repository: "pip install 'saco-data[demo] @ git+{web}/repository/.git@",
    index: "pip install 'saco-data[demo]'",
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_the_advice_is_for_how_the_package_was_installed_and_works(
    way: Way, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.shell(f"pip install {way(environment, tmp_path)}")
    if way is removed_wheel:
        (tmp_path / "saco_data-1-py3-none-any.whl").unlink()
    with monkeypatch.context() as activated:
        activated.setenv("PATH", str(environment.python.parent), prepend=os.pathsep)
        advice = installation.how_to_install("demo")
    assert advice.startswith(
        WAYS[way].format(
            project=environment.project,
            url=str(environment.project).replace(" ", "%20"),
            wheels=environment.wheels,
            scratch=tmp_path,
            web=environment.url,
        )
    )
    assert not environment.has_extra()
    environment.shell(advice)
    assert environment.has_extra()


def test_where_pip_is_another_pythons_the_python_is_named(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.shell(f"pip install -e '{environment.project}'")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    advice = installation.how_to_install("demo")
    assert advice.startswith(f"{environment.python} -m pip install -e ")
    environment.shell(advice)
    assert environment.has_extra()
