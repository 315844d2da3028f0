"""`saco intersect`: two laboratories with different losses get the same annotation files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saco_data.model.errors import UsageError
from saco_data.share import card
from saco_data.share.copies import Copy
from saco_data.share.copies import load as load_copy
from saco_data.share.intersect import intersect
from tests.conftest import Saco
from tests.helpers.annotations import annotate
from tests.helpers.miniatures import Raw, prepare_miniature
from tests.helpers.names import SILVER
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset, pairs

SUBSETS = ("geode", "bdd100k", "sav")


def copies(two: tuple[TinySubset, TinySubset]) -> list[Copy]:
    return [load_copy(folder_of(each), SUBSETS) for each in two]


def laboratory(folder: Path, *lost: tuple[str, int]) -> Path:
    """Prepares a copy of the sandbox without the `lost` files; returns the folder of its card."""

    def lose(raw: dict[str, Raw]) -> None:
        for subset, number in lost:
            del raw[subset][list(raw[subset])[number]]

    settings = prepare_miniature(folder, SUBSETS, lose)
    return card.write(settings, card.make(settings, SUBSETS)).parent


def test_two_copies_with_different_losses_get_the_same_bytes(tmp_path: Path, saco: Saco) -> None:
    one = laboratory(tmp_path / "one", ("geode", 0), ("sav", 0))
    other = laboratory(tmp_path / "other", ("geode", 1), ("bdd100k", 0))
    written = []
    for home, cards in ((one, [one, other]), (other, [other / card.NAME, one / card.NAME])):
        cwd = home.parents[1]
        ended = saco("intersect", *cards, "--json", cwd=cwd)
        assert ended.returncode == 0, ended.stderr
        subsets = json.loads(ended.stdout)["subsets"]
        assert list(subsets) == list(SUBSETS)
        folder = cwd / "silver" / "intersection"
        written.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert written[0] == written[1]
    # Of six pictures the sandbox lacks one, and each copy another one.
    assert subsets["geode"]["files"] == {"total": 6, "kept": 3}
    assert subsets["bdd100k"]["files"] == {"total": 6, "kept": 4}
    assert subsets["sav"]["files"] == {"total": 12, "kept": 6}
    assert sorted(written[0]) == sorted(
        f"silver_{name}_merged_test{end}" for name in SUBSETS for end in (".json", ".pruned.json")
    )


@pytest.fixture
def two(tmp_path: Path) -> tuple[TinySubset, TinySubset]:
    copies = []
    for name, lost in (("a", NAMES[0]), ("b", NAMES[1])):
        small = TinySubset(tmp_path / name)
        small.holds(set(NAMES) - {lost})
        small.prepare()
        card.write(small.settings, card.make(small.settings, [SUBSET]))
        copies.append(small)
    return copies[0], copies[1]


def folder_of(small: TinySubset) -> Path:
    return small.settings.silver / "card"


def test_common_files_stay_in_order_and_the_pristine_file_is_unchanged(
    two: tuple[TinySubset, TinySubset],
) -> None:
    before = two[0].settings.subset(SUBSET).pristine.read_bytes()
    found = intersect(two[0].settings, copies(two), [SUBSET])
    content = json.loads(found[SUBSET].path.read_bytes())
    original = json.loads(before)
    assert content["images"] == [e for e in original["images"] if e["file_name"] in NAMES[2:]]
    ids = {each["id"] for each in content["images"]}
    assert content["annotations"] == [e for e in original["annotations"] if e["image_id"] in ids]
    assert two[0].settings.subset(SUBSET).pristine.read_bytes() == before


def test_keep_lists_without_a_card_suffice(two: tuple[TinySubset, TinySubset]) -> None:
    by_card = intersect(two[0].settings, copies(two), [SUBSET])
    content = by_card[SUBSET].path.read_bytes()
    lists = [load_copy(folder_of(each) / f"{SUBSET}.keep.txt", SUBSETS) for each in two]
    other = two[1].folder / "elsewhere"
    assert intersect(two[1].settings, lists, [SUBSET], other)[SUBSET].path.read_bytes() == content


def test_copies_of_different_annotations_are_not_mixed(two: tuple[TinySubset, TinySubset]) -> None:
    annotate(two[1].folder, SUBSET, pairs(NAMES, revision=2))
    two[1].prepare()
    card.write(two[1].settings, card.make(two[1].settings, [SUBSET]))
    with pytest.raises(UsageError, match="other annotations of bdd100k"):
        intersect(two[0].settings, copies(two), [SUBSET])


def test_a_keep_list_that_is_not_the_one_on_the_card_is_refused(
    two: tuple[TinySubset, TinySubset],
) -> None:
    keep_list = folder_of(two[1]) / f"{SUBSET}.keep.txt"
    keep_list.write_text(keep_list.read_text() + "more.jpg\n")
    with pytest.raises(UsageError, match=r"differs from the keep-list that card\.json names"):
        load_copy(folder_of(two[1]), SUBSETS)


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"subsets": {"sav": 3}}', b'{"subsets": 1}', b"\xff", b"[" * 99_999],
)
def test_other_files_than_cards_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "card.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not a card"):
        load_copy(path, SILVER)


def test_a_card_cannot_point_out_of_its_folder(
    two: tuple[TinySubset, TinySubset], tmp_path: Path
) -> None:
    path = folder_of(two[0]) / card.NAME
    secret = tmp_path / "secret.txt"
    secret.write_text("a\n")
    path.write_text(path.read_text().replace(f"{SUBSET}.keep.txt", f"../../../../{secret.name}"))
    with pytest.raises(UsageError, match="cannot be read"):
        load_copy(path, SUBSETS)


@pytest.mark.parametrize("name", ["", "/", "..", "a/", "\0", "\ud800", "x" * 300])
def test_a_card_that_names_no_keep_list_is_refused(
    two: tuple[TinySubset, TinySubset], name: str
) -> None:
    path = folder_of(two[0]) / card.NAME
    content = json.loads(path.read_text())
    content["subsets"][SUBSET]["keep_list"] = name
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="names no keep-list"):
        load_copy(path, SUBSETS)


def test_a_single_copy_gives_the_files_that_it_has(
    two: tuple[TinySubset, TinySubset], saco: Saco
) -> None:
    alone = saco("intersect", folder_of(two[0]), "--json", cwd=two[0].folder)
    assert alone.returncode == 0, alone.stderr
    (written,) = json.loads(alone.stdout)["subsets"].values()
    names = copies(two)[0].names[SUBSET]
    assert written["files"]["kept"] == len(names)
    content = json.loads(Path(written["path"]).read_bytes())
    assert {each["file_name"] for each in content["images"]} == names


def test_an_empty_intersection_is_refused(two: tuple[TinySubset, TinySubset]) -> None:
    both = copies(two)
    with pytest.raises(UsageError, match="no subset in common"):
        intersect(two[0].settings, both, ["nga"])
