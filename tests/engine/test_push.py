"""A copy that was prepared here, published in a bucket and in a folder, and read from there."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

import saco_data
from saco_data.engine import published
from saco_data.engine.publish import find_left_over
from saco_data.engine.push import push
from saco_data.model.errors import Incomplete, OutputError, UsageError
from saco_data.model.reasons import Reason, State
from saco_data.sandbox.miniature import build_subset, serve
from saco_data.sandbox.s3 import ACCESS_KEY, SECRET_KEY, S3Server
from saco_data.state.ledger import Ledger
from saco_data.storage import inventory
from saco_data.storage.store import open_store
from tests.conftest import Saco
from tests.helpers.bucket import BUCKET, PLACE
from tests.helpers.folders import config
from tests.helpers.pipeline import prepare
from tests.helpers.tiny_subset import NAMES, PICTURES, SUBSET, TinySubset, picture

TRAIN = "sa-v/train"
ANNOTATIONS = "annotations/silver_bdd100k_merged_test.json"


@pytest.fixture
def small(tmp_path: Path) -> TinySubset:
    """A copy that is prepared but for one file, which is gone."""
    made = TinySubset(tmp_path / "here")
    made.holds(NAMES[1:])
    assert made.prepare().code == 0
    return made


def published_names(place: str) -> set[str]:
    return {name for name, _ in open_store(place).list()}


def test_all_that_evaluation_reads_is_published_byte_for_byte(
    small: TinySubset, place: str
) -> None:
    (done,) = push(small.settings, place, [SUBSET]).subsets
    assert (done.put, done.same, done.skipped) == (6, 0, {})
    store = open_store(place)
    for name in NAMES[1:]:
        assert store.read(f"images/{SUBSET}/{name}") == PICTURES[name]
    for path in (small.settings.silver / "annotations").glob("*.json"):
        assert store.read(f"annotations/{path.name}") == path.read_bytes()
    assert published_names(place) == {
        *(f"images/{SUBSET}/{name}" for name in NAMES[1:]),
        ANNOTATIONS,
        ANNOTATIONS.replace(".json", ".pruned.json"),
        inventory.object_name(SUBSET),
    }


def test_a_second_push_sends_and_rewrites_nothing(small: TinySubset, place: str) -> None:
    push(small.settings, place, [SUBSET])
    before = dict(open_store(place).list())
    (again,) = push(small.settings, place, [SUBSET]).subsets
    assert (again.put, again.same, again.sent, again.is_same) == (0, 6, 0, True)
    assert dict(open_store(place).list()) == before


def test_a_push_that_broke_off_goes_on(
    small: TinySubset, bucket_server: S3Server, saco: Saco
) -> None:
    bucket_server.gate.keys[f"{BUCKET}/silver/images/{SUBSET}/{NAMES[3]}"] = "AccessDenied"
    with pytest.raises(OutputError, match="AccessDenied"):
        push(small.settings, PLACE, [SUBSET])
    assert inventory.object_name(SUBSET) not in published_names(PLACE)
    failed = saco("status", "--at", PLACE, cwd=small.folder)
    assert failed.returncode == 2 and "holds none of these subsets" in failed.stderr
    bucket_server.gate.keys.clear()
    (done,) = push(small.settings, PLACE, [SUBSET]).subsets
    assert done.same > 0 and done.put + done.same == 6
    assert not published.verify(open_store(PLACE), [SUBSET], full=True)[0].faults


def test_a_product_that_changed_since_it_was_verified_is_not_published(
    small: TinySubset, place: str
) -> None:
    small.product(NAMES[2]).unlink()
    small.product(NAMES[2]).write_bytes(picture(0))
    small.product(NAMES[4]).unlink()
    (done,) = push(small.settings, place, [SUBSET]).subsets
    assert set(done.skipped) == {NAMES[2], NAMES[4]}
    assert f"images/{SUBSET}/{NAMES[2]}" not in published_names(place)
    status = published.read_status(open_store(place), [SUBSET])
    assert not status.complete and status.subsets[0].states[State.DONE] == 2


def test_status_of_a_place_is_that_of_the_copy(
    small: TinySubset, place: str, saco: Saco, tmp_path: Path
) -> None:
    push(small.settings, place, [SUBSET])
    here = saco("status", SUBSET, "--json", cwd=small.folder)
    there = saco("status", "--at", place, "--json", cwd=tmp_path)
    assert there.returncode == 0, there.stderr
    assert json.loads(there.stdout) == json.loads(here.stdout)
    assert json.loads(there.stdout)["subsets"][SUBSET]["complete"]
    assert saco_data.status(place).as_json() == json.loads(here.stdout)


def test_verify_names_what_is_damaged_or_missing(
    small: TinySubset, place: str, saco: Saco, tmp_path: Path
) -> None:
    push(small.settings, place, [SUBSET])
    sound = saco("verify", "--at", place, "--full", cwd=tmp_path)
    assert (sound.returncode, sound.stdout) == (0, f"{SUBSET}: 6 objects, 0 damaged\n")
    store = open_store(place)
    store.put(f"images/{SUBSET}/{NAMES[1]}", PICTURES[NAMES[2]])
    store.delete([f"images/{SUBSET}/{NAMES[3]}"])
    damaged = saco("verify", "--at", place, cwd=tmp_path)
    assert (damaged.returncode, damaged.stdout) == (3, f"{SUBSET}: 6 objects, 2 damaged\n")
    assert f"{NAMES[1]} is not the object that was published" in damaged.stderr
    assert f"{NAMES[3]} is missing" in damaged.stderr
    push(small.settings, place, [SUBSET])
    assert saco("verify", "--at", place, "--full", cwd=tmp_path).returncode == 0
    assert store.read(f"images/{SUBSET}/{NAMES[1]}") == PICTURES[NAMES[1]]


def test_what_came_back_is_published_and_what_was_partial_leaves(
    small: TinySubset, place: str
) -> None:
    small.tar.unlink()
    small.product(NAMES[1]).unlink()
    small.prepare()  # the raw medium is not at hand: the copy is partial
    push(small.settings, place, [SUBSET])
    assert any(name.startswith("annotations_partial/") for name in published_names(place))
    small.holds(NAMES)
    assert small.sync().code == 0
    push(small.settings, place, [SUBSET])
    assert not any(name.startswith("annotations_partial/") for name in published_names(place))
    assert published.read_status(open_store(place), [SUBSET]).complete
    assert open_store(place).read(f"images/{SUBSET}/{NAMES[0]}") == PICTURES[NAMES[0]]


def test_frames_of_training_videos_are_published_one_by_one(tmp_path: Path, place: str) -> None:
    with serve(tmp_path / "served", {TRAIN: build_subset(TRAIN)}) as mounts:
        own = {**mounts.keys["collections"]["sa-v"], "path": "sa-v", "media": "frames"}
        settings = config(tmp_path, collections={"sa-v": {**own, "shards": [0]}})
        assert prepare(settings, TRAIN) == 0
    root = settings.subset(TRAIN).root
    files = {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in (root / "sav_train").rglob("*")
        if path.is_file()
    }
    (first,) = push(settings, place, [TRAIN]).subsets
    assert (first.put, first.same, first.skipped) == (len(files), 0, {})
    store = open_store(place)
    assert {name: store.read(name) for name, _ in store.list("sav_train/")} == files
    (again,) = push(settings, place, [TRAIN]).subsets
    assert (again.put, again.same, again.is_same) == (0, len(files), True)
    pictures = sorted(name for name in files if name.endswith(".jpg"))
    store.put(pictures[0], files[pictures[1]])
    store.delete([pictures[2]])
    (checked,) = published.verify(store, [TRAIN])
    assert set(checked.faults) == {pictures[0], pictures[2]} and checked.objects == len(files)
    (repaired,) = push(settings, place, [TRAIN]).subsets
    assert (repaired.put, repaired.replaced) == (2, 1)
    assert not published.verify(store, [TRAIN], full=True)[0].faults
    # One that changed here is not published, and what is there stays.
    (root / pictures[-1]).write_bytes(b"")
    push(settings, place, [TRAIN])
    assert not published.verify(store, [TRAIN])[0].faults
    assert {name: store.read(name) for name, _ in store.list("sav_train/")} == files


def test_pictures_that_a_folder_no_longer_has_are_left_over(small: TinySubset, place: str) -> None:
    push(small.settings, place, [SUBSET])
    found = inventory.read(open_store(place), SUBSET)
    assert found is not None
    header = found[0].header
    old, new = (
        inventory.Inventory(
            header,
            {
                "v": inventory.Entry(
                    "v", "ok", pictures=[inventory.Entry(f"{n}.jpg", "ok") for n in range(count)]
                )
            },
        )
        for count in (4, 2)
    )
    assert find_left_over(old, new) == [f"images/{SUBSET}/v/{n}.jpg" for n in (2, 3)]
    assert find_left_over(new, old) == [] == find_left_over(old, old)


def test_two_machines_publish_the_halves_of_a_subset(tmp_path: Path, place: str) -> None:
    halves = [TinySubset(tmp_path / "one"), TinySubset(tmp_path / "two")]
    for at, half in enumerate(halves):
        half.prepare()
        for name in NAMES[at::2]:
            half.product(name).unlink()
        half.tar.unlink()
        half.prepare()
    errors: list[BaseException] = []

    def publish(half: TinySubset) -> None:
        try:
            push(half.settings, place, [SUBSET])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=publish, args=[half]) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    found = inventory.read(open_store(place), SUBSET)
    assert found and {each.reason for each in found[0].entries.values()} == {Reason.OK}
    assert not published.verify(open_store(place), [SUBSET], full=True)[0].faults


def test_a_ledger_is_rebuilt_from_an_inventory(
    small: TinySubset, place: str, tmp_path: Path
) -> None:
    push(small.settings, place, [SUBSET])
    with Ledger(small.settings.state) as here, Ledger(tmp_path / "other") as there:
        assert published.rebuild(there, open_store(place), SUBSET) == 5
        assert published.rebuild(there, open_store(place), SUBSET) == 0
        for name, item in here.items(SUBSET).items():
            again = there.items(SUBSET)[name]
            for each in ("reason", "bytes", "sha256", "since", "gone_first", "gone_last"):
                assert getattr(again, each) == getattr(item, each), each
            assert again.facts == {k: v for k, v in item.facts.items() if k != "place"}


def test_no_secret_is_published(small: TinySubset, bucket_server: S3Server) -> None:
    with Ledger(small.settings.state) as ledger:
        known = ledger.items(SUBSET)[NAMES[1]]
        assert known.origin
    push(small.settings, PLACE, [SUBSET])
    content = open_store(PLACE).read(inventory.object_name(SUBSET))
    for secret in (ACCESS_KEY, SECRET_KEY, "://", str(small.folder)):
        assert secret.encode() not in content


def test_places_that_cannot_be_published_in(small: TinySubset, bucket_server: S3Server) -> None:
    for place in ("ftp://user:word@host/x", "s3://user:word@bucket/x"):
        with pytest.raises(UsageError) as caught:
            push(small.settings, place, [SUBSET])
        assert "word" not in str(caught.value)
    with pytest.raises(UsageError, match="where the copy is"):
        push(small.settings, str(small.settings.silver), [SUBSET])
    with pytest.raises(UsageError, match="nothing of this is prepared"):
        push(small.settings, PLACE, ["nga"])


def test_a_store_without_conditional_writes_is_refused(
    small: TinySubset, bucket_server: S3Server
) -> None:
    bucket_server.gate.ignores_conditions = True
    with pytest.raises(OutputError, match="no conditional writes"):
        push(small.settings, PLACE, [SUBSET])
    assert published_names(PLACE) == set()


def test_an_inventory_that_is_not_ours_is_named(small: TinySubset, place: str) -> None:
    push(small.settings, place, [SUBSET])
    for content in (b"", b"\n", b"{}\n", b"not json", b'{"version": 2}\n'):
        open_store(place).put(inventory.object_name(SUBSET), content)
        with pytest.raises(Incomplete, match="inventory cannot be read"):
            published.read_status(open_store(place), [SUBSET])
