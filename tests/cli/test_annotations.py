"""`saco annotations`: from the hub, a folder or Roboflow; earlier files are kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from saco_data.config.settings import Settings
from saco_data.model.reasons import Reason
from saco_data.sandbox.encoding import encode_jpeg
from saco_data.sandbox.http_server import FileServer
from saco_data.sandbox.hub import HuggingFace, Roboflow
from saco_data.sandbox.miniature import build
from saco_data.sandbox.packing import pack_zip
from saco_data.sources.annotation_files import NOTE, read_notes
from tests.conftest import Saco
from tests.helpers.annotations import document, image
from tests.helpers.folders import config
from tests.helpers.names import SILVER, manifest
from tests.helpers.pipeline import items, products

DATASET = "facebook/SACo-Silver"
SECRET = "hf_very_secret_token"
KEY = "rf-very-secret-key"
NGA = manifest("nga").annotations.file
ONE = json.dumps(document(image(0, "a.jpg"))).encode()
TWO = json.dumps(document(image(0, "a.jpg"), image(1, "b.jpg"))).encode()


@pytest.fixture
def hub(server: FileServer) -> HuggingFace:
    dataset = HuggingFace(DATASET, {NGA: ONE}, token=SECRET)
    dataset.mount(server)
    return dataset


@pytest.fixture
def no_token(tmp_path: Path) -> dict[str, str]:
    """Variables that hide the credentials of the user who runs the tests."""
    return {"HF_HOME": str(tmp_path / "none"), "HF_TOKEN": "", "ROBOFLOW_API_KEY": ""}


def opened(folder: Path, server: FileServer, **keys: Any) -> Settings:
    return config(folder, endpoints={"hub": server.url}, **keys)


def test_a_file_from_the_hub_is_checked_recorded_and_fetched_once(
    tmp_path: Path, server: FileServer, hub: HuggingFace, saco: Saco, no_token: dict[str, str]
) -> None:
    settings = opened(tmp_path, server, hf_token=SECRET)
    done = saco("annotations", "nga", cwd=tmp_path, **no_token)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("nga: new, 1 image-NPs, 0 masks, 1 files, revision ")
    assert "holds other counts than published" in done.stderr
    assert settings.subset("nga").pristine.read_bytes() == ONE
    assert read_notes(settings.annotations / NOTE)[NGA]["revision"] == hub.revision
    assert sorted(path.name for path in settings.annotations.iterdir()) == [
        ".saco-annotations.json",
        NGA,
    ]
    sent = server.bytes_sent
    again = saco("annotations", "nga", "--json", cwd=tmp_path, **no_token)
    result = json.loads(again.stdout)
    assert result["complete"] and result["subsets"]["nga"]["state"] == "unchanged"
    assert server.bytes_sent == sent


def test_a_new_revision_replaces_the_file_and_keeps_the_old_one(
    tmp_path: Path, server: FileServer, hub: HuggingFace, saco: Saco, no_token: dict[str, str]
) -> None:
    settings = opened(tmp_path, server)
    no_token["HF_TOKEN"] = SECRET
    saco("annotations", "nga", cwd=tmp_path, **no_token)
    hub.files[NGA] = TWO
    done = saco("annotations", "nga", cwd=tmp_path, **no_token)
    assert done.returncode == 0 and "nga: replaced, 2 image-NPs" in done.stdout
    assert settings.subset("nga").pristine.read_bytes() == TWO
    aside = settings.annotations / f"{Path(NGA).stem}.{hashlib.sha256(ONE).hexdigest()[:8]}.json"
    assert aside.read_bytes() == ONE and str(aside) in done.stderr


def test_a_file_pruned_in_place_does_not_count_as_pristine(
    tmp_path: Path, server: FileServer, hub: HuggingFace, saco: Saco, no_token: dict[str, str]
) -> None:
    settings = opened(tmp_path, server, hf_token=SECRET)
    hub.files[NGA] = TWO
    settings.annotations.mkdir()
    (settings.annotations / NGA).write_bytes(ONE)
    (settings.annotations / NGA.replace(".json", "_original.json")).write_bytes(TWO)
    done = saco("annotations", "nga", cwd=tmp_path, **no_token)
    assert "nga: unchanged, 2 image-NPs" in done.stdout
    assert (settings.annotations / NGA).read_bytes() == ONE


def test_a_gated_dataset_exits_4_and_shows_no_secret(
    tmp_path: Path, server: FileServer, hub: HuggingFace, saco: Saco, no_token: dict[str, str]
) -> None:
    opened(tmp_path, server, hf_token="hf_a_wrong_one")
    done = saco("-v", "annotations", "nga", cwd=tmp_path, **no_token)
    assert done.returncode == 4
    assert f"https://huggingface.co/datasets/{DATASET}, then set HF_TOKEN" in done.stderr
    assert "hf_a_wrong_one" not in done.stderr + done.stdout


def test_from_a_folder_with_the_same_checks(tmp_path: Path, saco: Saco) -> None:
    settings = config(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / NGA).write_bytes(ONE)
    (other / manifest("sav").annotations.file).write_bytes(ONE[:100])
    done = saco("annotations", "nga", "sav", "geode", "--from", other, cwd=tmp_path)
    assert done.returncode == 4
    assert settings.subset("nga").pristine.read_bytes() == ONE
    assert "sav" in done.stderr and "not whole JSON" in done.stderr
    assert "geode" in done.stderr and "is missing" in done.stderr
    assert not settings.subset("sav").pristine.exists()
    wrong = saco("annotations", "--from", "nowhere", cwd=tmp_path)
    assert wrong.returncode == 2 and "nowhere" in wrong.stderr


def test_prepare_fetches_missing_annotations(
    tmp_path: Path, server: FileServer, hub: HuggingFace, saco: Saco, no_token: dict[str, str]
) -> None:
    miniature = build(tmp_path / "miniature", ["geode"])
    name = manifest("geode").annotations.file
    hub.files[name] = (miniature.annotations / name).read_bytes()
    (tmp_path / "geode.zip").write_bytes(pack_zip(miniature.subsets["geode"].raw))
    settings = opened(tmp_path, server, hf_token=SECRET, geode_raw="geode.zip")
    done = saco("prepare", "geode", cwd=tmp_path, **no_token)
    assert done.returncode == 0, done.stderr
    assert f"fetched from https://huggingface.co/datasets/{DATASET}/blob/" in done.stderr
    assert len(products(settings, "geode")) == 5


def test_without_a_network_prepare_prints_a_line_for_each_subset(
    tmp_path: Path, saco: Saco, no_token: dict[str, str]
) -> None:
    config(tmp_path, endpoints={"hub": "http://127.0.0.1:9"})
    done = saco("prepare", cwd=tmp_path, **no_token)
    assert done.returncode == 3
    for subset in SILVER:
        lines = [line for line in done.stderr.splitlines() if line.startswith(f"{subset}: ")]
        (line,) = [line for line in lines if "cannot be reached" in line]
        assert line.count("annotation file is missing") == 1


def roboflow(folder: Path, server: FileServer, unready: int = 0) -> tuple[Settings, bytes]:
    """The config for an export of NGA's miniature, and its original annotation file."""
    miniature = build(folder / "miniature", ["nga"])
    subset = miniature.subsets["nga"]
    original = (miniature.annotations / NGA).read_bytes()
    content = json.loads(original)
    export: dict[str, bytes] = {}
    for number, entry in enumerate(subset.entries):
        stem = entry.file_name.removesuffix(".jpg")
        uploaded = f"{stem}_jpg.rf.{number:032x}.jpg"
        export[f"test/{uploaded}"] = encode_jpeg(entry.scene)
        for each in content["images"]:
            if each["file_name"] == entry.file_name:
                each["file_name"] = uploaded
                if number == 0:
                    each["extra"] = {"name": entry.file_name}
    export["test/_annotations.coco.json"] = json.dumps(content).encode()
    service = Roboflow("sa-co-silver", KEY, {"national-gallery-of-art": export}, unready=unready)
    return config(folder, endpoints={"roboflow": service.mount(server)}), original


def file_names(content: bytes) -> list[str]:
    return [each["file_name"] for each in json.loads(content)["images"]]


def test_roboflow_gives_annotations_and_processed_pictures(
    tmp_path: Path, server: FileServer, saco: Saco, no_token: dict[str, str]
) -> None:
    settings, original = roboflow(tmp_path, server)
    no_token["ROBOFLOW_API_KEY"] = KEY
    done = saco("annotations", "nga", "--from", "roboflow", cwd=tmp_path, **no_token)
    assert done.returncode == 0, done.stderr
    names = [
        each["file_name"]
        for each in json.loads(settings.subset("nga").pristine.read_bytes())["images"]
    ]
    assert names == [each["file_name"] for each in json.loads(original)["images"]]
    done = saco("annotations", "nga", "--from", "roboflow", "--images", cwd=tmp_path, **no_token)
    assert done.returncode == 0, done.stderr
    assert "6 ok (compressed again" in done.stdout
    assert set(products(settings, "nga")) == set(names)
    known = items(settings, "nga").values()
    assert all(item.facts["recompressed"] is True for item in known)
    assert {item.reason for item in known} == {Reason.OK}
    assert KEY not in done.stdout + done.stderr
    assert all(KEY not in item.origin for item in known)
    # `prepare` accepts them as they are.
    assert saco("prepare", "nga", cwd=tmp_path, **no_token).returncode == 0


@pytest.mark.parametrize(("key", "words"), [("", "no Roboflow key"), ("rf-wrong", "HTTP 401")])
def test_roboflow_needs_a_key(
    tmp_path: Path,
    server: FileServer,
    saco: Saco,
    no_token: dict[str, str],
    key: str,
    words: str,
) -> None:
    roboflow(tmp_path, server)
    no_token["ROBOFLOW_API_KEY"] = key
    done = saco("annotations", "nga", "--from", "roboflow", cwd=tmp_path, **no_token)
    assert done.returncode == 4
    assert words in done.stderr and "Set ROBOFLOW_API_KEY" in done.stderr
    assert "rf-wrong" not in done.stderr
