"""Every subset of Silver has a miniature, which is the same at every build."""

from __future__ import annotations

import random

import pytest

from saco_data.catalog.registry import builtin
from saco_data.sandbox.miniature import build_subset
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.recipe import MiniatureSubset, Recipe, register, registered
from saco_data.sandbox.recipes import has_recipe, recipe_of


@pytest.mark.parametrize("name", builtin().select([]))
def test_a_miniature_is_the_same_at_every_build(name: str) -> None:
    one, other = build_subset(name), build_subset(name)
    assert one == other
    assert one.raw != build_subset(name, seed=1).raw
    assert not one.raw.keys() & set(one.missing)
    assert {*one.raw, *one.missing} == set(one.raw_name.values())


def test_one_class_can_serve_several_subsets_of_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("other/train", "other/val")
    for name in names:
        assert not has_recipe(name)
        # Undone after the test.
        monkeypatch.setitem(registered, name, recipe_of("sav"))

    @register(*names)
    class TwoFiles(Recipe):
        def draw(self, random_: random.Random) -> MiniatureSubset:
            raw = {f"{number}.txt": self.name.encode() for number in range(2)}
            return MiniatureSubset(self.name, raw=raw)

        def mount(self, subset: MiniatureSubset, mounts: Mounts) -> None:
            mounts.keys[self.name] = list(subset.raw)

    for name in names:
        subset = build_subset(name)
        assert (subset.raw, subset.missing) == ({"0.txt": name.encode()}, ["1.txt"])


def test_a_damaged_file_is_another_than_the_missing_one() -> None:
    whole, broken = build_subset("geode"), build_subset("geode", broken=True)
    changed = {name for name in whole.raw if whole.raw[name] != broken.raw[name]}
    assert changed == {next(iter(whole.raw))}
