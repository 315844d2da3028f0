"""Silver and SA-V's training set on nodes of a real SLURM, with Silver in a bucket, in one run.

The result is that of one machine whose outputs are folders, byte for byte.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import boto3.session
import pytest
import yaml

import saco_data
from saco_data.config.settings import Settings
from saco_data.engine import published
from saco_data.engine.push import push
from saco_data.executors.cluster.executor import ClusterExecutor
from saco_data.sandbox.demo import SUBSETS, set_variables
from saco_data.sandbox.miniature import build, serve
from saco_data.sandbox.mounts import Mounts
from saco_data.storage.store import open_store
from tests.helpers.bucket import BUCKET, PLACE
from tests.helpers.folders import config
from tests.helpers.pipeline import Notes, items, prepare
from tests.helpers.slurm import own_slurm

TRAIN = "sa-v/train"
TRAIN_PLACE = f"s3://{BUCKET}/sa-v"
KEYS = {"nodes": 2, "minimum_nodes": 2, "cores": 1, "memory": "2GB", "walltime": "00:20:00"}


def configured(folder: Path, mounts: Mounts, annotations: Path, **keys: Any) -> Settings:
    """The config of a copy of its own."""
    given = yaml.safe_load(yaml.safe_dump(mounts.keys))
    given["collections"]["sa-v"] |= {"path": "sa-v", "media": "both"}
    # Its own: the listing of archives lies there too.
    shutil.copytree(annotations, folder / "annotations")
    own = {f"{name}_path": f"raw/{name}" for name in SUBSETS}
    return config(folder, **{**given, **own, **keys}, state_path="state")


def result_of(settings: Settings) -> dict[str, Any]:
    """What a run leaves for its user, apart from the files: status, listing, ledger."""
    known = {
        f"{subset} {name}": (item.reason, item.sha256, item.bytes, item.attempts)
        for subset in (*SUBSETS, TRAIN)
        for name, item in items(settings, subset).items()
    }
    # It has the counts and the digest of the keep-list of each subset.
    status = saco_data.status(settings, [*SUBSETS, TRAIN]).as_json()
    return {**known, "status": status, "listing": settings.subset(TRAIN).pristine.read_bytes()}


def files_below(folder: Path) -> dict[str, bytes]:
    """All files for evaluation and training, by the names that they have in a store too."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for part in ("images", "annotations", "sav_train")
        for path in (folder / part).rglob("*")
        if path.is_file() and path.suffix != ".parquet"
    }


def objects_at(place: str) -> dict[str, bytes]:
    store = open_store(place)
    return {name: store.read(name) for name, _ in store.list() if not name.startswith(".saco/")}


def test_silver_in_a_bucket_and_sav_from_nodes_are_those_of_one_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subsets = [*SUBSETS, TRAIN]
    made = build(tmp_path, subsets)
    with (
        own_slurm(2) as slurm,
        serve(tmp_path / "served", made.subsets) as mounts,
        set_variables(mounts.environment),
    ):
        # The server of Ego4D's bucket takes ours too.
        session = boto3.session.Session(region_name="us-east-1")
        session.client("s3").create_bucket(Bucket=BUCKET)
        here = configured(tmp_path / "here", mounts, made.annotations, silver_path="silver")
        assert prepare(here, *subsets) == 0
        monkeypatch.setenv("SLURM_CONF", slurm.environment["SLURM_CONF"])
        keys = {"silver_path": PLACE, "executor": {"slurm": KEYS}}
        there = configured(tmp_path / "there", mounts, made.annotations, **keys)
        sent, notes = Counter[str](), Notes()
        usual = ClusterExecutor._submit

        def submit(executor: ClusterExecutor, *arguments: Any) -> Any:
            sent[arguments[-1]] += 1
            return usual(executor, *arguments)

        monkeypatch.setattr(ClusterExecutor, "_submit", submit)
        assert prepare(there, *subsets, notes=notes) == 0, notes.lines
        # Files of Silver and archives of SA-V were given to nodes, of which there were two.
        assert sent.keys() >= {f"files of {name}" for name in SUBSETS}
        assert sent.keys() >= {f"{TRAIN} sav_{number:03d}.tar" for number in range(3)}
        assert len(list((there.state / "cluster" / "logs").glob("saco-data-*.err"))) >= 2
        assert result_of(there) == result_of(here)
        silver, train = files_below(here.silver), files_below(here.subset(TRAIN).root)
        kinds = Counter(Path(name).suffix for name in (*silver, *train))
        assert kinds[".jpg"] > 180 and kinds[".mp4"] == 12 and kinds[".json"] == 41
        assert objects_at(PLACE) == silver
        assert files_below(there.subset(TRAIN).root) == train
        (first,) = push(there, TRAIN_PLACE, [TRAIN]).subsets
        assert first.put == len(train) and not first.skipped
        assert objects_at(TRAIN_PLACE) == train
        for place, names in ((PLACE, SUBSETS), (TRAIN_PLACE, [TRAIN])):
            store = open_store(place)
            assert not any(each.faults for each in published.verify(store, names, full=True))
            status = saco_data.status(here, names).as_json()
            assert published.read_status(store, names).as_json() == status
        # A second run asks no source for anything.
        asked = mounts.server.requests.total()
        assert prepare(there, *subsets) == 0
        assert mounts.server.requests.total() == asked
        (second,) = push(there, TRAIN_PLACE, [TRAIN]).subsets
        assert second.is_same and second.put == 0 and second.same == len(train)
