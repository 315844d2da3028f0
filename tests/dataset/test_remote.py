"""`saco.load("s3://...")`: a published copy as Python objects."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

import saco_data as saco
from saco_data.engine.push import push
from saco_data.model.errors import Incomplete, UsageError
from saco_data.sandbox.s3 import SECRET_KEY, S3Server
from saco_data.storage.store import open_store
from tests.helpers.bucket import BUCKET, PLACE
from tests.helpers.tiny_subset import NAMES, SUBSET, TinySubset, picture


@pytest.fixture
def small(tmp_path: Path, bucket_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> TinySubset:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    made = TinySubset(tmp_path / "here")
    made.holds(NAMES[1:])
    made.prepare()
    push(made.settings, PLACE, [SUBSET])
    return made


def test_a_published_copy_is_the_same_as_the_local_one(
    small: TinySubset, bucket_server: S3Server
) -> None:
    here, there = saco.load(small.settings.silver)[SUBSET], saco.load(PLACE)[SUBSET]
    assert len(here) == len(there) == 8
    for one, other in zip(here, there, strict=True):
        assert (one.id, one.phrase, one.file_name) == (other.id, other.phrase, other.file_name)
        assert np.array_equal(np.array(one.image()), np.array(other.image()))
        assert one.path.read_bytes() == other.path.read_bytes()
    key = f"GET {BUCKET}/silver/images/{SUBSET}/{NAMES[1]}"
    fetched = bucket_server.requests[key]
    assert fetched
    [item.image() for item in saco.load(PLACE)[SUBSET]]
    assert bucket_server.requests[key] == fetched  # from the cache


def test_other_processes_open_the_store_themselves(small: TinySubset) -> None:
    subset = saco.load(PLACE)[SUBSET]
    copy = pickle.loads(pickle.dumps(subset))
    assert SECRET_KEY.encode() not in pickle.dumps(subset)
    assert np.array_equal(np.array(copy[0].image()), np.array(subset[0].image()))


def test_an_object_that_was_not_published_is_never_shown(small: TinySubset) -> None:
    key = f"images/{SUBSET}/{NAMES[1]}"
    open_store(PLACE).put(key, picture(4))
    item = next(each for each in saco.load(PLACE)[SUBSET] if each.file_name == NAMES[1])
    for _ in range(2):
        with pytest.raises(Incomplete, match="not the object that was published"):
            item.image()


def test_an_empty_bucket_is_named(bucket_server: S3Server) -> None:
    with pytest.raises(UsageError, match="holds none of these subsets"):
        saco.load(PLACE)
