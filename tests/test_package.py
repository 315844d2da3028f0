"""What users install: the wheel and the sdist hold all that they need."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from saco_data import __version__
from tests.conftest import ROOT
from tests.helpers.names import SILVER

CHECKOUT = (ROOT / "pyproject.toml").resolve().parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    subprocess.run(command, cwd=CHECKOUT, check=True, capture_output=True)
    return folder


def test_the_wheel_holds_manifests_templates_types_licence_and_config(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"saco_data/manifests/silver/{name}.yaml" for name in (*SILVER, "collection")} <= names
    files = (CHECKOUT / "saco_data/report/templates").rglob("*.*")
    templates = {str(path.relative_to(CHECKOUT)) for path in files}
    assert "saco_data/report/templates/page.css" in templates
    assert templates | {"saco_data/py.typed", "saco_data/CONFIG_FRAMES.yaml"} <= names
    assert {f"saco_data/docs/{path.name}" for path in (CHECKOUT / "docs").glob("*.md")} <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not any(name.startswith(("tests/", "benchmarks/")) for name in names)


def test_the_sdist_builds_the_same_wheel(built: Path, tmp_path: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    for name in ("LICENSE", "CITATION.cff", "constraints.txt", "Makefile", "tests/conftest.py"):
        assert (folder / name).is_file(), name
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "d")]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    (again,) = (tmp_path / "d").glob("*.whl")
    (wheel,) = built.glob("*.whl")
    assert zipfile.ZipFile(again).namelist() == zipfile.ZipFile(wheel).namelist()


def test_there_is_one_version() -> None:
    assert metadata.version("saco-data") == __version__
    assert f"version: {__version__}" in (ROOT / "CITATION.cff").read_text()
