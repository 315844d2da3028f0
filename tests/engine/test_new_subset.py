"""A subset without code of its own: a manifest and an archive suffice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from saco_data.model.errors import ConfigError
from saco_data.sandbox.packing import pack_zip
from tests.conftest import Saco
from tests.helpers.annotations import document, image
from tests.helpers.folders import config, write_files
from tests.helpers.pictures import plain_jpeg

COLLECTION = {"name": "mine", "title": "My collection", "subsets": ["birds"]}
MANIFEST = {
    "name": "birds",
    "title": "Birds of my garden",
    "process": "copy",
    "evaluator": "cgf1",
    "annotations": {"file": "birds.json", "image_nps": 3, "masks": 1},
    "raw": {
        "kind": "archive",
        "layout": "pictures/<year>/<name>",
        "typical_bytes": 1000,
        "members": {
            "product": r"(?P<key>.+)\.jpg",
            "member": r"pictures/(?P<key>.+)\.jpg",
            "slash": "-",
        },
    },
    "access": {"kind": "open", "steps": "Nothing to do", "page": "https://example.org/"},
    "licence": "CC0",
    "citation": "Nobody, 2026",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pairs = [
        image(number, f"2026-{name}.jpg", width=16, height=12)
        for number, name in enumerate(("tit", "wren", "gone"))
    ]
    masks = [{"id": 1, "image_id": pairs[0]["id"]}]
    members = {f"backup/pictures/2026/{name}.jpg": plain_jpeg() for name in ("tit", "wren")}
    write_files(
        tmp_path,
        {
            "manifests/collection.yaml": yaml.safe_dump(COLLECTION).encode(),
            "manifests/birds.yaml": yaml.safe_dump(MANIFEST).encode(),
            "annotations/mine/birds.json": json.dumps(document(*pairs, masks=masks)).encode(),
            "birds.zip": pack_zip(members),
        },
    )
    config(
        tmp_path,
        silver_path="silver",
        collections={
            "mine": {"manifests": "manifests", "path": "mine", "raw": {"birds": "birds.zip"}}
        },
    )
    return tmp_path


def test_it_is_prepared_without_code_of_its_own(folder: Path, saco: Saco) -> None:
    planned = saco("plan", "mine/birds", "--json", cwd=folder)
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["subsets"]["mine/birds"]["to_make"] == 3
    examined = saco("doctor", "mine", "--json", cwd=folder)
    checks = {each["name"]: each for each in json.loads(examined.stdout)["checks"]}
    assert "birds.zip" in checks["mine/birds"]["what"]
    done = saco("prepare", "mine", cwd=folder)
    assert done.returncode == 0, done.stderr
    images = folder / "mine" / "images" / "birds"
    assert sorted(path.name for path in images.iterdir()) == ["2026-tit.jpg", "2026-wren.jpg"]
    kept = json.loads((folder / "mine/annotations/birds.json").read_bytes())["images"]
    assert [each["file_name"] for each in kept] == ["2026-tit.jpg", "2026-wren.jpg"]
    status = json.loads(saco("status", "MINE/Birds", "--json", cwd=folder).stdout)
    counts = status["subsets"]["mine/birds"]
    assert (counts["products"]["done"], counts["products"]["gone"]) == (2, 1)
    assert counts["reasons"] == {"not_in_archive": 1} and counts["complete"]
    assert saco("verify", "mine", cwd=folder).returncode == 0
    assert saco("report", "mine", cwd=folder).returncode == 0
    page = (folder / "silver/.saco/report.html").read_text()
    assert "Birds of my garden" in page and "<title>My collection: what was prepared" in page
    assert saco("history", "2026-tit.jpg", cwd=folder).returncode == 0
    card = json.loads(saco("card", "mine", "--json", cwd=folder).stdout)
    assert card["subsets"]["mine/birds"]
    assert card["paragraph"].startswith("My collection was prepared with saco-data")


def test_silver_is_left_alone(folder: Path, saco: Saco) -> None:
    status = json.loads(saco("status", "--json", cwd=folder).stdout)
    assert "mine/birds" not in status["subsets"] and len(status["subsets"]) == 10


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"members": {"member": "pictures/(.+)"}}, "group"),
        ({"members": {"member": "pictures/(?P<key>"}}, "regular expression"),
        ({"folder": 3}, "raw.folder"),
    ],
)
def test_a_wrong_manifest_is_a_config_error(
    folder: Path, change: dict[str, object], said: str
) -> None:
    raw = {**MANIFEST["raw"], **change}  # type: ignore[dict-item]
    (folder / "manifests/birds.yaml").write_text(yaml.safe_dump({**MANIFEST, "raw": raw}))
    with pytest.raises(ConfigError, match=said):
        config(folder, collections={"mine": {"manifests": "manifests"}})


def test_a_manifest_without_its_line_in_the_collection_is_told(folder: Path) -> None:
    (folder / "manifests/extra.yaml").write_text("name: extra\n")
    with pytest.raises(ConfigError, match="extra"):
        config(folder, collections={"mine": {"manifests": "manifests"}})
