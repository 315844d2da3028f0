"""Shards of SA-1B that nodes of a cluster read: the result is that of one machine."""

from __future__ import annotations

import os
import pickle
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saco_data.config.settings import Settings
from saco_data.engine import verify
from saco_data.engine.shard import ShardDone
from saco_data.engine.shard_road import ShardRoad
from saco_data.sandbox.links_cdn import LinksCdn
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.sandbox.mounts import Mounts
from saco_data.sandbox.packing import pack_tar
from saco_data.sandbox.recipes.sa1b import LINKS, renew
from tests.helpers.cluster import nannies, worker_of
from tests.helpers.folders import config
from tests.helpers.pipeline import Notes, items, prepare, result_of
from tests.helpers.waiting import wait_until

TRAIN = "sa1b/train"


@pytest.fixture
def mounts(tmp_path: Path) -> Iterator[Mounts]:
    with serve(tmp_path / "served", {TRAIN: build_subset(TRAIN)}) as served:
        yield served


def configured(mounts: Mounts, name: str, **keys: Any) -> Settings:
    own = {**mounts.keys["collections"]["sa1b"], "path": "sa1b"}
    folder = mounts.folder.parent / name
    folder.mkdir()
    return config(folder, jobs=2, collections={"sa1b": own}, **keys)


def test_nodes_fetch_check_and_publish_though_one_is_killed(
    mounts: Mounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = configured(mounts, "here")
    assert prepare(here, TRAIN) == 0
    there = configured(mounts, "there", executor="dask")
    returned: list[ShardDone] = []
    usual = ShardRoad._take

    def take(self: ShardRoad, done: ShardDone) -> None:
        returned.append(done)
        usual(self, done)

    monkeypatch.setattr(ShardRoad, "_take", take)
    # This process is the coordinator: it must ask the source for nothing.
    monkeypatch.setattr("saco_data.transports.http.client.Http.open", None)
    mounts.server.bandwidth = 20_000
    killed = []

    def kill_node() -> None:
        wait_until(lambda: any(there.subset(TRAIN).images.rglob("*.jpg")), 60)
        for nanny in nannies():
            killed.append(worker_of(nanny).pid)
            os.kill(killed[-1], signal.SIGKILL)
        mounts.server.bandwidth = 0

    killer = threading.Thread(target=kill_node, daemon=True)
    killer.start()
    notes = Notes()
    assert prepare(there, TRAIN, notes=notes) == 0, notes.lines
    killer.join()
    assert killed and result_of(there, TRAIN) == result_of(here, TRAIN)
    assert {item.attempts for item in items(there, TRAIN).values()} == {1}
    # One record a shard comes back, whatever it holds.
    assert [len(done.outcomes) for done in returned] == [1, 1, 1]
    assert max(len(pickle.dumps(done)) for done in returned) < 2000
    before = dict(mounts.server.requests)
    assert prepare(there, TRAIN) == 0
    assert dict(mounts.server.requests) == before


def test_files_that_are_lost_or_damaged_at_the_source(mounts: Mounts) -> None:
    raw = build_subset(TRAIN).raw
    own = {name: content for name, content in raw.items() if name.startswith("sa_000001/")}
    spoilt, lost = sorted(name for name in own if name.endswith(".jpg"))[:2]
    own[spoilt] = own[spoilt][:-400]
    cdn: LinksCdn = mounts.servers["sa1b"]
    cdn.offer("sa_000001.tar", pack_tar(own))
    mounts.write(LINKS, renew(cdn))
    here, there = configured(mounts, "here"), configured(mounts, "there", executor="dask")
    for settings in (here, there):
        assert prepare(settings, TRAIN) == 0
        path = settings.subset(TRAIN).images / f"images/{Path(lost).name}"
        assert not (path.parent / Path(spoilt).name).exists()
        path.unlink()
        assert verify.run(settings, [TRAIN], Notes()) == 3
        assert prepare(settings, TRAIN) == 0
        assert path.exists()
    assert result_of(there, TRAIN) == result_of(here, TRAIN)
