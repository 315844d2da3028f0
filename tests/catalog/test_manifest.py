"""The manifests: all ten load and agree with the published facts; a wrong one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from saco_data.catalog import manifest
from saco_data.catalog.registry import builtin, manifests_folder
from saco_data.model.errors import ManifestError, UsageError

# image-NPs, masks, media: the published table.
PUBLISHED = {
    "bdd100k": (5546, 13210, False),
    "droid": (9445, 11098, True),
    "ego4d": (12608, 24049, True),
    "food_rec": (20985, 28347, False),
    "geode": (14850, 7570, False),
    "inaturalist": (1439051, 48899, False),
    "nga": (22294, 18991, False),
    "sav": (18337, 39683, True),
    "yt1b": (7816, 12221, True),
    "fathomnet": (287193, 14174, False),
}
# videos, objects, masks; the number of masks of the test split is not published.
LISTED = {"sa-v/val": (155, 293, 31_967), "sa-v/test": (150, 278, None)}


@pytest.mark.parametrize("name", PUBLISHED)
def test_each_manifest_has_the_published_facts(name: str) -> None:
    facts = builtin().find(name)
    counts = (facts.annotations.image_nps, facts.annotations.masks, facts.frames)
    assert counts == PUBLISHED[name]
    assert facts.licence and facts.citation and facts.access.steps


def test_the_default_collection_is_silver() -> None:
    assert len(builtin().select([])) == 10
    assert set(builtin().select([])) <= set(PUBLISHED)


def test_each_subset_has_its_published_counts() -> None:
    assert set(builtin().ids) == {*PUBLISHED, *LISTED, "sa-v/train", "o365/val", "sa1b/train"}


def test_sa_v_train_has_the_published_counts() -> None:
    facts = builtin().find("sa-v/train")
    # Videos, manual and automatic annotations.
    assert facts.annotations.files == 50_583 + 50_583 + 48_436
    assert facts.raw.shards == 56


def test_sa_1b_has_the_published_counts() -> None:
    facts = builtin().find("sa1b/train")
    assert facts.shard_files and facts.raw.shards == 1_000
    assert facts.shard_files.count == 1_000 * facts.shard_files.a_shard == 11_186_000
    assert str(facts.raw.archive).format(999) == "sa_000999.tar"


def test_objects365_has_the_published_counts() -> None:
    facts = builtin().find("o365/val").annotations
    assert (facts.files, facts.masks) == (1_000, 12_836)


@pytest.mark.parametrize("name", LISTED)
def test_each_split_of_sa_v_has_the_published_counts(name: str) -> None:
    facts = builtin().find(name).annotations
    assert (facts.videos, facts.objects, facts.masks) == LISTED[name]


def test_an_unknown_subset_gets_a_hint() -> None:
    with pytest.raises(UsageError, match="Did you mean 'inaturalist'"):
        builtin().find("inaturalst")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"process": "squash"}, "process"),
        ({"surprise": 1}, "surprise"),
        ({"annotations": {"file": "../x.json", "image_nps": 1, "masks": 1}}, "annotations.file"),
        ({"rates": {"sleep_seconds": [3, 1]}}, "rates.sleep_seconds"),
        ({"licence": None}, "licence"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path: Path, change: dict[str, object], key: str) -> None:
    content = yaml.safe_load((manifests_folder() / "silver" / "nga.yaml").read_text())
    (tmp_path / "nga.yaml").write_text(yaml.safe_dump({**content, **change}))
    with pytest.raises(ManifestError, match=key):
        manifest.read(tmp_path / "nga.yaml", "silver")


def test_a_manifest_is_named_after_its_subset(tmp_path: Path) -> None:
    content = (manifests_folder() / "silver" / "nga.yaml").read_text()
    (tmp_path / "geode.yaml").write_text(content)
    with pytest.raises(ManifestError, match="says it is 'nga'"):
        manifest.read(tmp_path / "geode.yaml", "silver")
