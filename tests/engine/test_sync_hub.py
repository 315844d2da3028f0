"""`saco sync` when the hub publishes another revision of the annotations."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.hub import HuggingFace
from saco_data.sources.annotation_files import NOTE, Annotations, read_notes
from tests.helpers.pipeline import items
from tests.helpers.tiny_subset import DAY, NAMES, SUBSET, TinySubset, pairs

ONE, TWO = (json.dumps(pairs(names)).encode() for names in (NAMES[:4], NAMES[1:]))


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hides the token and the cache of the user who runs the tests."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    for name in ("HF_TOKEN_PATH", "HF_HUB_CACHE"):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", str(tmp_path / "none"))


@pytest.fixture
def small(tmp_path: Path, server: FileServer) -> TinySubset:
    return TinySubset(tmp_path, endpoints={"hub": server.url})


@pytest.fixture
def hub(small: TinySubset, server: FileServer) -> HuggingFace:
    """A hub with the first revision, which was fetched from it and prepared."""
    dataset = HuggingFace(
        "facebook/SACo-Silver", {small.settings.subset(SUBSET).pristine.name: ONE}
    )
    dataset.mount(server)
    small.settings.subset(SUBSET).pristine.unlink()
    assert Annotations().from_hub(small.settings.subset(SUBSET)).state == "new"
    assert small.prepare().code == 0
    assert small.kept() == set(NAMES[:4])
    return dataset


def test_a_newer_revision_is_followed_and_the_old_file_is_kept(
    small: TinySubset, hub: HuggingFace
) -> None:
    pristine = small.settings.subset(SUBSET).pristine
    hub.files[pristine.name] = TWO
    small.time += DAY
    # `prepare` uses the file on disk.
    assert small.prepare().code == 0 and pristine.read_bytes() == ONE
    synced = small.sync()
    assert synced.code == 0
    assert pristine.read_bytes() == TWO
    assert read_notes(small.settings.annotations / NOTE)[pristine.name]["revision"] == hub.revision
    before, now = (hashlib.sha256(each).hexdigest() for each in (ONE, TWO))
    aside = pristine.with_name(f"{pristine.stem}.{before[:8]}.json")
    assert aside.read_bytes() == ONE
    assert any(str(aside) in line for line in small.notes.lines)
    said = synced.as_json()["subsets"][SUBSET]
    assert said["annotations"] == {"before": before, "now": now, "added": 1, "dropped": 1}
    assert small.kept() == set(items(small.settings, SUBSET)) == set(NAMES[1:])
    assert small.product(NAMES[4]).exists()


def test_an_unchanged_revision_is_not_downloaded_again(
    small: TinySubset, hub: HuggingFace, server: FileServer
) -> None:
    sent = server.bytes_sent
    small.time += DAY
    asked = server.requests.total()
    assert small.sync().code == 0
    assert server.requests.total() > asked and server.bytes_sent == sent


def test_a_refusing_hub_is_reported_and_the_present_file_stays_usable(
    small: TinySubset, hub: HuggingFace
) -> None:
    hub.token = "hf_another"
    small.time += DAY
    synced = small.sync()
    assert (synced.code, synced.results[SUBSET].code) == (4, 0)
    assert any("could not look for newer annotations" in line for line in small.notes.lines)
    assert small.kept() == set(NAMES[:4])


def test_a_file_from_elsewhere_is_not_replaced_from_the_hub(
    small: TinySubset, server: FileServer
) -> None:
    name = small.settings.subset(SUBSET).pristine.name
    HuggingFace("facebook/SACo-Silver", {name: TWO}).mount(server)
    before = small.settings.subset(SUBSET).pristine.read_bytes()
    assert small.prepare().code == 0
    small.time += DAY
    assert small.sync().code == 0
    assert server.requests.total() == 0
    assert small.settings.subset(SUBSET).pristine.read_bytes() == before
