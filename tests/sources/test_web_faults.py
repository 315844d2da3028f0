"""NGA, iNaturalist and FathomNet from a server that answers every fifth request wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from saco_data.config.settings import Settings
from saco_data.model.reasons import Reason, State
from saco_data.sandbox import recipe
from saco_data.sandbox.http_server import Fault, Faults, FileServer
from saco_data.sandbox.miniature import Miniature, build
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.recipes import recipe_of
from tests.helpers.folders import config
from tests.helpers.pipeline import items, prepare, products, states

NAMES = ("nga", "inaturalist", "fathomnet")
FILES = 30


@pytest.fixture(scope="module")
def small_silver(tmp_path_factory: pytest.TempPathFactory) -> Miniature:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "FILES", FILES)
        return build(tmp_path_factory.mktemp("miniature"), NAMES)


def opened(folder: Path, server: FileServer, silver: Miniature) -> Settings:
    with Mounts(folder, server) as mounts:
        for name, subset in silver.subsets.items():
            recipe_of(name).mount(subset, mounts)
        return config(folder, **{**mounts.keys, "path_annotations": str(silver.annotations)})


def originals(folder: Path, silver: Miniature) -> dict[str, dict[str, bytes]]:
    """The right products, from a server without faults."""
    with FileServer() as server:
        settings = opened(folder, server, silver)
        assert prepare(settings, *NAMES) == 0
        return {name: products(settings, name) for name in NAMES}


@pytest.fixture(scope="module")
def right(
    tmp_path_factory: pytest.TempPathFactory, small_silver: Miniature
) -> dict[str, dict[str, bytes]]:
    return originals(tmp_path_factory.mktemp("right"), small_silver)


@pytest.mark.parametrize("seed", [1, 2])
def test_three_runs_bring_all_products_unchanged(
    tmp_path: Path,
    server: FileServer,
    small_silver: Miniature,
    right: dict[str, dict[str, bytes]],
    seed: int,
) -> None:
    settings = opened(tmp_path, server, small_silver)
    server.faults = Faults(seed=seed, stall=0.2, drip=50_000)
    codes = []
    for _ in range(3):
        codes.append(prepare(settings, *NAMES))
        for name in NAMES:
            made = products(settings, name)
            assert made.items() <= right[name].items()
            gone = {key for key, state in states(settings, name).items() if state is State.GONE}
            assert not gone & right[name].keys()
        if codes[-1] == 0:
            break
    assert codes[-1] == 0 and server.injected.total() > 8, (codes, server.injected)
    assert {name: products(settings, name) for name in NAMES} == right
    before = server.requests.total()
    assert prepare(settings, *NAMES) == 0
    assert server.requests.total() == before


def test_throttled_sources_are_not_asked_again_and_finished_later(
    tmp_path: Path, server: FileServer, small_silver: Miniature, right: dict[str, dict[str, bytes]]
) -> None:
    settings = opened(tmp_path, server, small_silver)
    server.faults = Faults((Fault.THROTTLED,), probability=1, retry_after=3600)
    assert prepare(settings, *NAMES) == 4
    for name in NAMES:
        known = items(settings, name).values()
        assert {(each.reason, each.attempts) for each in known} == {(Reason.THROTTLED, 0)}
    server.faults = None
    assert prepare(settings, *NAMES) == 0
    assert {name: products(settings, name) for name in NAMES} == right
