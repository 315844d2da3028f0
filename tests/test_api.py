"""`import saco_data as saco`: what a researcher's script sees of a small real copy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import saco_data as saco
from saco_data.model.errors import UsageError
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> TinySubset:
    return TinySubset(tmp_path_factory.mktemp("api"))


def test_from_nothing_to_pictures(tiny: TinySubset, capfd: pytest.CaptureFixture[str]) -> None:
    config = tiny.settings.file
    assert saco.plan(config, SUBSET).lines[0].to_make == len(NAMES)
    assert saco.plan(config, SUBSET).as_json()["version"] == 1
    assert saco.prepare(config, SUBSET).code == 0
    (status,) = saco.status(config, [SUBSET]).subsets
    assert status.complete and status.total == len(NAMES)
    for source in (config, str(tiny.settings.silver), tiny.settings):
        copy = saco.load(source)
        assert list(copy) == [SUBSET]
        assert {each.file_name for each in copy[SUBSET].pictures()} == set(NAMES)
    assert capfd.readouterr() == ("", "")


def test_a_folder_without_a_copy_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no prepared subset"):
        saco.load(tmp_path)
    with pytest.raises(UsageError, match=r"silvr: there is no such folder\. Name the folder of a"):
        saco.load(tmp_path / "silvr")


def test_a_whole_copy_is_no_ground_truth(tiny: TinySubset, tmp_path: Path) -> None:
    saco.prepare(tiny.settings.file, SUBSET)
    copy: Any = saco.load(tiny.settings.silver)
    with pytest.raises(UsageError, match=rf"mine.json: a whole copy .* subsets: \['{SUBSET}'\]"):
        saco.evaluate(tmp_path / "mine.json", copy)


def test_the_import_is_quick_and_names_are_listed() -> None:
    code = (
        "import sys, saco_data\n"
        "heavy = {'av', 'numpy', 'pandas', 'aiohttp', 'boto3', 'pydantic', 'PIL'}\n"
        "print(sorted(heavy & set(sys.modules)), 'prepare' in dir(saco_data))\n"
        "from saco_data import prepare"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] True\n"
    with pytest.raises(AttributeError):
        saco.nothing  # noqa: B018


def test_no_package_hides_a_public_name() -> None:
    # `import saco_data.NAME` would put the package in the place of the function.
    folder = Path(saco.__file__).parent
    inside = {each.stem for each in folder.iterdir()}
    assert not inside & set(saco.__all__) - {"__version__"}
