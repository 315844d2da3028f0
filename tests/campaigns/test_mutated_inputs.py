"""Mutated inputs of every kind that the tool reads: it never hangs, crashes, or loses anything."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.campaigns.annotation_inputs import Annotations, Configs, Manifests
from tests.campaigns.archive_inputs import Archives
from tests.campaigns.bench import Bench, Kind, bench
from tests.campaigns.media_inputs import Masks, Pictures, Videos
from tests.campaigns.source_inputs import Cookies, Links, Tables
from tests.campaigns.state_inputs import OwnFiles
from tests.helpers.seeds import choose_seed

KINDS: tuple[type[Kind], ...] = (
    Annotations,
    Archives,
    Configs,
    Manifests,
    Videos,
    Pictures,
    Masks,
    Cookies,
    Links,
    Tables,
    OwnFiles,
)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("mutated")) as made:
        yield made


def check_many(there: Bench, kind: type[Kind], count: int, seed: int, first: int = 0) -> None:
    """Tries `count` mutated inputs of a kind."""
    print(f"\n{count} mutated {kind.name}, SACO_SEED={seed}", flush=True)
    failures = []
    there.codes.clear()
    there.slowest = 0
    tried = kind(there)
    with tried.set_up():
        for number in range(first, first + count):
            try:
                tried.try_one(number, seed)
            except AssertionError as error:
                failures.append(f"{kind.name} {number}: {error}"[:5000])
                print("FAILED", failures[-1], flush=True)
    shutil.rmtree(tried.base)
    codes = dict(sorted(there.codes.items()))
    print(f"{kind.name}: exit codes {codes}, slowest {there.slowest:.1f} s", flush=True)
    assert not failures, f"{len(failures)} of {count} failed, seed {seed}"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_some_mutated_inputs(there: Bench, kind: type[Kind]) -> None:
    check_many(there, kind, 3, 1)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_five_thousand_mutated_inputs(there: Bench, kind: type[Kind]) -> None:
    assert sum(each.share for each in KINDS) >= 5000
    check_many(there, kind, kind.share, choose_seed())
