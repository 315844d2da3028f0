"""Files of an archive that streams are checked while it streams, and not once more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saco_data.config.settings import Settings
from saco_data.engine import session
from saco_data.media import content, process
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.sources import Context
from saco_data.sources.sav_train import SavTrainSource
from tests.helpers.executor import InlineExecutor
from tests.helpers.folders import config
from tests.helpers.pipeline import Notes, items, products

TRAIN = "sa-v/train"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    with serve(tmp_path / "served", {TRAIN: build_subset(TRAIN)}) as mounts:
        own = {**mounts.keys["collections"]["sa-v"], "path": "sa-v", "shards": [1]}
        yield config(tmp_path, collections={"sa-v": own})


def run(settings: Settings) -> int:
    return session.go(settings, [TRAIN], "test", Notes(), executor=InlineExecutor()).code


def test_each_file_is_checked_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    read_before: list[str] = []

    def check_content(data: bytes, name: str, **keys: Any) -> content.Checked:
        checked.append(name)
        return original(data, name, **keys)

    def write_listing(self: SavTrainSource, context: Context) -> list[str]:
        read = original_listing(self, context)
        read_before.extend(checked)
        return read

    original = content.check_content
    original_listing = SavTrainSource.write_listing
    monkeypatch.setattr(content, "check_content", check_content)
    monkeypatch.setattr(process, "check_content", check_content)
    monkeypatch.setattr(SavTrainSource, "write_listing", write_listing)
    assert run(settings) == 0
    assert sorted(checked) == sorted(products(settings, TRAIN))
    assert sorted(read_before) == sorted(checked)


@pytest.mark.parametrize("ending", [".mp4", "_manual.json"])
def test_a_file_that_changes_after_its_check_is_checked_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    def write_listing(self: SavTrainSource, context: Context) -> list[str]:
        read = original(self, context)
        if read:
            path = min(self.config.raw_folder.rglob(f"*{ending}"))
            data = path.read_bytes()
            path.write_bytes(data[: len(data) // 2])
            right[str(path.relative_to(self.config.raw_folder))] = data
        return read

    right: dict[str, bytes] = {}
    original = SavTrainSource.write_listing
    monkeypatch.setattr(SavTrainSource, "write_listing", write_listing)
    # Somebody else wrote to it: it stays there, and another copy is fetched.
    assert run(settings) == 0
    assert right.items() <= products(settings, TRAIN).items()
    assert len(right) == 1


def test_a_worker_that_dies_leaves_the_check_for_later(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(path: Path, name: str) -> None:
        raise MemoryError

    monkeypatch.setattr(content, "inspect", die)
    assert run(settings) == 0
    assert len(products(settings, TRAIN)) == len(items(settings, TRAIN))
