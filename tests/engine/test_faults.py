"""Three sources on the web, from a server that answers every fifth request wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from saco_data.config.settings import Settings, load
from saco_data.model.reasons import State
from saco_data.sandbox import recipe
from saco_data.sandbox.demo import set_variables
from saco_data.sandbox.http_server import Faults
from saco_data.sandbox.miniature import build, serve
from tests.helpers.pipeline import prepare, products, states

WEB = ("nga", "fathomnet", "inaturalist")
RUNS = 3


def has_all_products(settings: Settings, clean: dict[str, dict[str, bytes]]) -> bool:
    """Whether all products are there; fails if one is wrong or counts as gone."""
    for name in WEB:
        found = products(settings, name)
        assert found.items() <= clean[name].items()
        gone = {key for key, state in states(settings, name).items() if state is State.GONE}
        assert not gone & clean[name].keys()
    return all(products(settings, name) == clean[name] for name in WEB)


def prepare_until_complete(folder: Path, seed: int) -> int:
    """Prepares from a good server, then repeatedly from a faulty one; returns how many runs."""
    folder.mkdir()
    with serve(folder / "raw", build(folder, WEB, seed=seed).subsets) as mounts:
        prepared = []
        for place in ("clean", "faulty"):
            path = folder / place / "CONFIG_FRAMES.yaml"
            path.parent.mkdir()
            keys = {"path_annotations": str(folder / "annotations"), "jobs": 2}
            path.write_text(yaml.safe_dump({**mounts.keys, **keys}))
            prepared.append(load(path))
        with set_variables(mounts.environment):
            good, bad = prepared
            assert prepare(good, *WEB) == 0
            clean = {name: products(good, name) for name in WEB}
            assert all(clean.values())
            mounts.server.faults = Faults(probability=0.2, seed=seed, stall=1, drip=20_000)
            for number in range(1, RUNS + 1):
                code = prepare(bad, *WEB)
                complete = has_all_products(bad, clean)
                assert (code == 0) is complete
                if complete:
                    assert mounts.server.injected
                    for name in WEB:
                        assert (
                            bad.subset(name).derived.read_bytes()
                            == good.subset(name).derived.read_bytes()
                        )
                    return number
        pytest.fail(f"not complete after {RUNS} runs, seed {seed}")


def test_a_faulty_server_costs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "FILES", 12)
    assert prepare_until_complete(tmp_path / "0", 0) <= RUNS


@pytest.mark.long
def test_no_file_is_lost_to_any_of_25_faulty_servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "FILES", 30)
    for seed in range(1, 26):
        runs = prepare_until_complete(tmp_path / str(seed), seed)
        print(f"seed {seed}: complete after {runs} runs")
