"""`silver_path: s3://...`: prepared on this machine, published in a bucket."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import boto3.session
import pytest

import saco_data
from saco_data.doctor import machine
from saco_data.engine import published, verify
from saco_data.engine.subset import bind
from saco_data.model.errors import LockHeld, OutputError, UsageError
from saco_data.model.finding import Verdict
from saco_data.model.reasons import Reason, State
from saco_data.sandbox import demo
from saco_data.sandbox.s3 import ACCESS_KEY, SECRET_KEY, S3Server
from saco_data.state.lease import NAME, Lease
from saco_data.storage import inventory
from saco_data.storage.store import open_store
from tests.conftest import Saco
from tests.helpers.bucket import BUCKET, PLACE
from tests.helpers.miniatures import again
from tests.helpers.pipeline import items, prepare, states
from tests.helpers.tiny_subset import NAMES, PICTURES, SUBSET, TinySubset, picture

pytestmark = pytest.mark.usefixtures("bucket_server")


def make(folder: Path) -> TinySubset:
    """A machine whose outputs go to the bucket."""
    return TinySubset(folder, silver_path=PLACE)


def objects() -> dict[str, bytes]:
    """The products in the bucket by name."""
    store = open_store(PLACE)
    prefix = f"images/{SUBSET}/"
    return {name.removeprefix(prefix): store.read(name) for name, _ in store.list(prefix)}


def local_products(small: TinySubset) -> list[Path]:
    return [path for path in small.product(NAMES[0]).parent.rglob("*") if path.is_file()]


def test_a_copy_in_a_bucket_is_that_of_a_folder_byte_for_byte(tmp_path: Path) -> None:
    folder, small = TinySubset(tmp_path / "folder"), make(tmp_path / "bucket")
    for each in (folder, small):
        each.holds(NAMES[1:])
        assert each.prepare().code == 0
    assert objects() == {name: folder.product(name).read_bytes() for name in NAMES[1:]}
    store = open_store(PLACE)
    for path in (folder.settings.silver / "annotations").glob("silver_*.json"):
        assert store.read(f"annotations/{path.name}") == path.read_bytes()
    digests = [
        saco_data.status(each.settings, SUBSET).subsets[0].keep_list_sha256
        for each in (folder, small)
    ]
    assert digests[0] == digests[1]
    assert saco_data.status(PLACE).as_json() == saco_data.status(small.settings, SUBSET).as_json()
    assert not local_products(small)


def test_all_of_silver_in_a_bucket_is_that_of_a_folder(tmp_path: Path) -> None:
    with demo.serve_miniature(tmp_path) as folder:
        session = boto3.session.Session(region_name="us-east-1")
        session.client("s3").create_bucket(Bucket=BUCKET)
        bucket = again(tmp_path, "again", silver_path=PLACE, state_path="state")
        assert prepare(folder, *demo.SUBSETS) == prepare(bucket, *demo.SUBSETS) == 0
        store = open_store(PLACE)
        for path in folder.silver.rglob("*"):
            name = path.relative_to(folder.silver).as_posix()
            if path.is_file() and name.startswith(("images/", "annotations/silver_")):
                assert store.read(name) == path.read_bytes(), name
        here, there = saco_data.status(folder), saco_data.status(PLACE)
        assert there.as_json() == here.as_json() and there.complete
        count = sum(each.states[State.DONE] for each in here.subsets)
        assert len(list(store.list("images/"))) == count > 50
        assert not any(each.faults for each in published.verify(store, demo.SUBSETS, full=True))
        before = dict(store.list("images/"))
        assert prepare(bucket, *demo.SUBSETS) == 0
        assert dict(store.list("images/")) == before


def test_state_is_local(tmp_path: Path) -> None:
    small = make(tmp_path / "one")
    assert small.settings.state == tmp_path / "one" / ".saco"
    elsewhere = TinySubset(tmp_path / "two", silver_path=PLACE, state_path="state")
    assert elsewhere.settings.state == tmp_path / "two" / "state"
    elsewhere.prepare()
    assert (tmp_path / "two" / "state" / "ledger.sqlite").is_file()
    assert not any("ledger" in name for name, _ in open_store(PLACE).list())


def test_a_rerun_writes_nothing_and_reads_no_raw_file(
    tmp_path: Path, bucket_server: S3Server
) -> None:
    small = make(tmp_path)
    small.prepare()
    before = {name: each for name, each in open_store(PLACE).list() if name != NAME}
    small.tar.unlink()
    bucket_server.requests.clear()
    assert small.prepare().code == 0
    assert {name: each for name, each in open_store(PLACE).list() if name != NAME} == before
    asked = [name for name in bucket_server.requests if "/images/" in name]
    assert not [name for name in asked if name.startswith(("PUT", "GET prepared/silver/images"))]


def test_a_second_machine_goes_on_from_what_the_bucket_holds(tmp_path: Path) -> None:
    first, second = make(tmp_path / "first"), make(tmp_path / "second")
    first.holds(NAMES[1:])
    first.prepare()
    second.holds([NAMES[0]])  # has only what the first one lacks
    assert second.prepare().code == 0
    assert objects() == PICTURES
    attempts = {name: item.attempts for name, item in items(second.settings, SUBSET).items()}
    assert {attempts[name] for name in NAMES[1:]} == {0}
    assert published.read_status(open_store(PLACE), [SUBSET]).complete


def test_a_lost_ledger_is_rebuilt_from_the_bucket(tmp_path: Path) -> None:
    small = make(tmp_path)
    small.prepare()
    shutil.rmtree(small.settings.state)
    small.tar.unlink()
    assert small.prepare().code == 0
    assert set(states(small.settings, SUBSET).values()) == {State.DONE}


def test_objects_that_are_lost_or_changed_are_found_and_made_again(tmp_path: Path) -> None:
    small = make(tmp_path)
    small.prepare()
    store = open_store(PLACE)
    assert verify.run(small.settings, [SUBSET], small.notes) == 0
    store.delete([f"images/{SUBSET}/{NAMES[1]}"])
    store.put(f"images/{SUBSET}/{NAMES[2]}", picture(4))
    assert verify.run(small.settings, [SUBSET], small.notes) == 3
    found = items(small.settings, SUBSET)
    assert found[NAMES[1]].reason is Reason.PRODUCT_LOST
    assert found[NAMES[2]].reason is Reason.WRONG_DIGEST
    assert small.prepare().code == 0
    assert objects() == PICTURES


def test_sync_finds_and_repairs_them_too(tmp_path: Path) -> None:
    small = make(tmp_path)
    small.prepare()
    open_store(PLACE).delete([f"images/{SUBSET}/{NAMES[1]}"])
    synced = small.sync(full=True)
    assert (synced.code, synced.as_json()["subsets"][SUBSET]["repaired"]) == (0, [NAMES[1]])
    assert objects() == PICTURES


def test_a_bucket_that_fails_meanwhile_loses_nothing(
    tmp_path: Path, bucket_server: S3Server
) -> None:
    small = make(tmp_path)
    bucket_server.gate.keys[f"prepared/silver/images/{SUBSET}/{NAMES[3]}"] = "AccessDenied"
    finished = small.prepare()
    assert finished.code == 2 and "access is refused" in str(finished.results[SUBSET].error)
    assert inventory.read(open_store(PLACE), SUBSET) is None
    assert len(local_products(small)) == 5
    bucket_server.gate.keys.clear()
    small.tar.unlink()
    assert small.prepare().code == 0
    assert objects() == PICTURES and not local_products(small)


def test_a_bucket_without_conditional_writes_is_refused(
    tmp_path: Path, bucket_server: S3Server
) -> None:
    small = make(tmp_path)
    (sound,) = [each for each in findings(small) if each[0].startswith("bucket")]
    assert sound[1] is Verdict.OK
    bucket_server.gate.ignores_conditions = True
    (broken,) = [each for each in findings(small) if each[0].startswith("bucket")]
    assert broken[1] is Verdict.FAIL
    with pytest.raises(OutputError, match="no conditional writes"):
        small.prepare()
    assert not objects()


def findings(small: TinySubset) -> list[tuple[str, Verdict]]:
    return [
        (each.name, each.verdict)
        for each in machine.examine(small.settings, bind(small.settings, [SUBSET]))
    ]


def test_load_reads_what_the_config_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    small = make(tmp_path / "here")
    small.prepare()
    pictures = list(saco_data.load(small.settings)[SUBSET].pictures())
    assert {each.file_name for each in pictures} == set(NAMES)
    assert pictures[0].image().size == (16, 12)


def test_push_from_a_bucket_is_refused(tmp_path: Path) -> None:
    from saco_data.engine.push import push

    with pytest.raises(UsageError, match="published there already"):
        push(make(tmp_path).settings, "elsewhere", [SUBSET])


def test_one_run_at_a_time_holds_the_lease_and_a_dead_one_loses_it() -> None:
    store = open_store(PLACE)
    with Lease(store, 1.5), pytest.raises(LockHeld, match="another run"), Lease(store, 1.5):
        pass
    assert store.stat(NAME) is None
    store.put(NAME, b'{"host": "gone", "pid": 1}')
    lost = threading.Event()
    with Lease(store, 0.6) as lease:
        lease.on_lost = lost.set
        store.put(NAME, b"taken by another")
        assert lost.wait(60)
    assert store.read(NAME) == b"taken by another"


def test_a_lease_of_a_process_that_has_ended_here_is_taken_at_once() -> None:
    store = open_store(PLACE)
    code = (
        "import os; from saco_data.state.lease import Lease; "
        "from saco_data.storage.store import open_store; "
        f"Lease(open_store({PLACE!r}), 3600).__enter__(); os._exit(9)"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, timeout=300)
    assert ended.returncode == 9 and store.stat(NAME) is not None
    with Lease(store, 3600):
        pass


def test_commands_work_without_local_products(tmp_path: Path, saco: Saco) -> None:
    small = make(tmp_path)
    small.prepare()
    for command in (("status", SUBSET), ("plan", SUBSET), ("report", SUBSET), ("card", SUBSET)):
        ended = saco(*command, cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
    plan = json.loads(saco("plan", SUBSET, "--json", cwd=tmp_path).stdout)
    assert plan["subsets"][SUBSET]["to_make"] == 0


def test_no_secret_is_anywhere(tmp_path: Path) -> None:
    small = make(tmp_path)
    small.prepare()
    store = open_store(PLACE)
    contents = [store.read(name) for name, _ in store.list()]
    contents += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for secret in (ACCESS_KEY, SECRET_KEY):
        assert not any(secret.encode() in content for content in contents)


@pytest.mark.long
def test_killed_at_random_moments_nothing_is_lost_or_doubled(
    tmp_path: Path, bucket_server: S3Server
) -> None:
    import random

    names = [f"silver/images/{SUBSET}/{name}" for name in NAMES]
    for number in range(12):
        chance = random.Random(number)
        small = TinySubset(tmp_path / str(number), silver_path=f"s3://{BUCKET}/{number}/silver")
        command = [str(Path(sys.executable).with_name("saco")), "-q", "prepare", SUBSET]
        for _ in range(3):
            process = subprocess.Popen(command, cwd=small.folder, stderr=subprocess.DEVNULL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(chance.uniform(0.5, 2.5))
            process.kill()
            process.wait()
        assert subprocess.run(command, cwd=small.folder, check=False).returncode == 0
        store = open_store(f"s3://{BUCKET}/{number}")
        assert {name: store.read(name) for name in names} == {
            f"silver/images/{SUBSET}/{name}": content for name, content in PICTURES.items()
        }
        assert not any(name.endswith("lease") for name, _ in store.list())
        bucket_server.requests.clear()
        small.tar.unlink()
        assert subprocess.run(command, cwd=small.folder, check=False).returncode == 0
        assert not [each for each in bucket_server.requests if "PUT" in each and "/images/" in each]
        assert {item.attempts for item in items(small.settings, SUBSET).values()} <= {0, 1}
