"""Archives that nodes of a cluster read for themselves: the result is that of one machine."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from distributed import Client

from saco_data.config.settings import Settings
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.miniature import build, build_subset, serve
from saco_data.sandbox.mounts import Mounts
from tests.helpers import pipeline
from tests.helpers.cluster import nannies, worker_of
from tests.helpers.folders import config
from tests.helpers.pipeline import Notes, items, prepare, products
from tests.helpers.waiting import wait_until

TRAIN = "sa-v/train"


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    with serve(tmp_path / "served", {TRAIN: build_subset(TRAIN)}) as served:
        yield served


def configured(mounts: Mounts, name: str, **keys: Any) -> Settings:
    own = {**mounts.keys["collections"]["sa-v"], "path": "sa-v", "media": "both"}
    folder = mounts.folder.parent / name
    folder.mkdir()
    return config(folder, jobs=2, collections={"sa-v": own}, **keys)


def result_of(settings: Settings) -> dict[str, Any]:
    """See `pipeline.result_of`; nothing else may lie there."""
    own = settings.subset(TRAIN)
    assert not [path for path in own.raw_folder.rglob("*") if path.is_file()]
    return pipeline.result_of(settings, TRAIN)


def attempts(settings: Settings) -> set[int]:
    return {item.attempts for item in items(settings, TRAIN).values()}


def test_shards_are_fetched_by_nodes_though_one_is_killed(
    mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = configured(mounts, "here")
    assert prepare(here, TRAIN) == 0
    there = configured(mounts, "there", executor="dask")
    sent: list[bytes] = []
    usual = Client.submit

    def submit(self: Client, function: Any, *arguments: Any, **options: Any) -> Any:
        sent.append(pickle.dumps((function, arguments, options)))
        return usual(self, function, *arguments, **options)

    monkeypatch.setattr(Client, "submit", submit)
    # This process is the coordinator: it must ask the source for nothing.
    monkeypatch.setattr("saco_data.transports.http.client.Http.open", None)
    killed = []

    def kill_node() -> None:
        wait_until(lambda: any(there.subset(TRAIN).images.rglob("*.mp4")), 60)
        for nanny in nannies():
            killed.append(worker_of(nanny).pid)
            os.kill(killed[-1], signal.SIGKILL)

    killer = threading.Thread(target=kill_node, daemon=True)
    killer.start()
    notes = Notes()
    assert prepare(there, TRAIN, notes=notes) == 0, notes.lines
    killer.join()
    assert killed and result_of(there) == result_of(here)
    # What a killed node had made is adopted; nothing is charged twice.
    assert attempts(there) <= {0, 1}
    assert len(sent) >= 3 and not [each for each in sent if b"oh=" in each]
    before = dict(mounts.server.requests)
    assert prepare(there, TRAIN) == 0
    assert dict(mounts.server.requests) == before


def test_products_that_are_lost_are_fetched_by_nodes(
    mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = configured(mounts, "there", executor="dask")
    assert prepare(settings, TRAIN) == 0
    right = result_of(settings)
    videos = sorted(settings.subset(TRAIN).images.rglob("*.mp4"))
    for lost in (videos[0], videos[-1]):
        lost.unlink()
    monkeypatch.setattr("saco_data.transports.http.client.Http.open", None)
    assert prepare(settings, TRAIN) == 0
    after = result_of(settings)
    assert after["ledger"].keys() == right["ledger"].keys()
    assert {name: after[name] for name in right if "/" in name} == {
        name: right[name] for name in right if "/" in name
    }


def test_expired_links_ask_for_new_ones_and_the_rest_goes_on(mounts: Mounts) -> None:
    cdn: LinksCdn = mounts.servers["sa-v"]
    settings = configured(mounts, "there", executor="dask")
    cdn.expire_after = 2
    notes = Notes()
    assert prepare(settings, TRAIN, notes=notes) == 4
    assert "links_file" in notes.lines[-1] and "expired" in notes.lines[-1]
    mounts.write("sa-v_links.txt", cdn.renew())
    assert prepare(settings, TRAIN, notes=notes) == 0, notes.lines
    here = configured(mounts, "here")
    assert prepare(here, TRAIN) == 0
    assert result_of(settings) == result_of(here)
    assert attempts(settings) == {1}


def test_sigterm_ends_nodes_soon_and_the_next_run_goes_on(mounts: Mounts) -> None:
    settings = configured(mounts, "there", executor="dask")
    own, server = settings.subset(TRAIN), mounts.server
    # Hours, if nothing stopped it.
    server.bandwidth = 200
    command = [sys.executable, "-m", "saco_data", "-q", "--config", str(settings.file)]
    run = subprocess.Popen([*command, "prepare", TRAIN], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: server.bytes_sent > 1000)
        run.terminate()
        assert run.wait(200) == 143
    finally:
        run.kill()
        run.wait()
        server.bandwidth = 0
    assert not own.pristine.exists() and not list((settings.state / "shards").glob("stop.*"))
    assert prepare(settings, TRAIN) == 0
    here = configured(mounts, "here")
    assert prepare(here, TRAIN) == 0
    assert result_of(settings) == result_of(here)
    assert attempts(settings) == {1}


def test_archives_of_objects365_are_fetched_by_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "o365/val"
    made = build(tmp_path, [name]).subsets
    with serve(tmp_path / "served", made) as served:

        def prepared(place: str, **keys: Any) -> Settings:
            own = {"o365": {"path": str(tmp_path / place)}}
            settings = config(tmp_path, silver_path=place, collections=own, **served.keys, **keys)
            assert prepare(settings, name) == 0
            return settings

        here = prepared("here")
        monkeypatch.setattr("saco_data.transports.http.client.Http.open", None)
        there = prepared("there", executor="dask")
    assert len(products(here, name)) == 5
    assert products(there, name) == products(here, name)
    known = [
        {key: (item.reason, item.sha256, item.attempts) for key, item in items(each, name).items()}
        for each in (here, there)
    ]
    # One is missing at the source: gone, by the word of the node that read the whole archive.
    assert len(known[0]) == 6 and known[0] == known[1]
