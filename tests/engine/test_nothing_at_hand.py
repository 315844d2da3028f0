"""Without credentials, annotation files and network: one line a subset, with the next step."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from saco_data.config.settings import load
from saco_data.sandbox.packing import pack_zip
from tests.conftest import ROOT, Saco
from tests.helpers.folders import config
from tests.helpers.miniatures import build_one
from tests.helpers.names import SILVER
from tests.helpers.pipeline import products

# Every request goes to a closed port.
NO_NETWORK = dict.fromkeys(("HTTPS_PROXY", "HTTP_PROXY", "https_proxy"), "http://127.0.0.1:9")
STEPS = {
    "geode": "geode_raw",
    "bdd100k": "bdd100k_raw",
    "food_rec": "food_rec_raw",
    "sav": "sav_links_file",
    "ego4d": "aws configure",
    "yt1b": "cookies_path",
}


@pytest.fixture
def fresh_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of a user without keys and tokens."""
    for name in ("HF_TOKEN", "HF_HOME", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return {**NO_NETWORK, "HOME": str(tmp_path / "home")}


def test_prepare_says_what_is_missing_and_what_to_do(
    tmp_path: Path, saco: Saco, fresh_environment: dict[str, str]
) -> None:
    shutil.copy(ROOT / "CONFIG_FRAMES.yaml", tmp_path)
    done = saco("prepare", cwd=tmp_path, **fresh_environment)
    assert done.returncode in (3, 4), done.stderr
    said = [line for line in done.stderr.splitlines() if line.partition(":")[0] in SILVER]
    assert [line.partition(":")[0] for line in said] == list(SILVER), "one line each"
    for subset, line in zip(SILVER, said, strict=True):
        assert "annotation file is missing" in line
        assert STEPS.get(subset, "") in line
        assert str(tmp_path) not in line, "paths are short"
        assert line.count(f"{subset}:") == 1
        assert len(line) < 500


def test_ready_subsets_are_prepared_and_the_others_are_named(
    tmp_path: Path, saco: Saco, fresh_environment: dict[str, str]
) -> None:
    subset = build_one(tmp_path, "geode")
    build_one(tmp_path, "bdd100k")  # annotations, but no archive
    (tmp_path / "geode.zip").write_bytes(pack_zip(subset.raw))
    config(tmp_path, geode_raw="geode.zip")
    done = saco("prepare", cwd=tmp_path, **fresh_environment)
    assert done.returncode in (3, 4), done.stderr
    assert len(products(load(tmp_path / "CONFIG_FRAMES.yaml"), "geode")) == 5
    lines = [line for line in done.stderr.splitlines() if line.startswith("bdd100k: ")]
    assert any("not at hand" in line and "bdd100k_raw" in line for line in lines)
    for name in set(SILVER) - {"geode", "bdd100k"}:
        (line,) = [line for line in done.stderr.splitlines() if line.startswith(f"{name}: ")]
        assert "annotation file is missing" in line
