"""`gs://`: the store, a run and a reader against Google Cloud Storage on loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import obstore
import pytest

import saco_data
from saco_data.doctor import machine
from saco_data.engine.subset import bind
from saco_data.model.errors import Incomplete, LockHeld, OutputError
from saco_data.model.finding import Verdict
from saco_data.state.lease import Lease
from saco_data.storage.probe import require_conditions
from saco_data.storage.store import Changed, open_store
from tests.conftest import Saco
from tests.helpers.bucket import BUCKET, GOOGLE_PLACE
from tests.helpers.gcs_bucket import LEAST_PART, GcsBucketServer
from tests.helpers.tiny_subset import NAMES, PICTURES, SUBSET, TinySubset


def objects() -> dict[str, bytes]:
    store = open_store(GOOGLE_PLACE)
    return {name: store.read(name) for name, _ in store.list(f"images/{SUBSET}/")}


def test_a_copy_in_a_bucket_is_prepared_read_and_left_alone(
    tmp_path: Path,
    google_server: GcsBucketServer,
    saco: Saco,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    small = TinySubset(tmp_path / "here", silver_path=GOOGLE_PLACE)
    done = saco("prepare", SUBSET, cwd=small.folder)
    assert done.returncode == 0, done.stderr
    assert objects() == {f"images/{SUBSET}/{name}": each for name, each in PICTURES.items()}
    assert not list((small.settings.silver / "images").rglob("*.jpg"))
    # Another process reads it, one picture at a time.
    dataset = saco_data.load(GOOGLE_PLACE)
    pictures = {each.file_name: each for each in dataset[SUBSET].pictures()}
    assert pictures.keys() == set(NAMES)
    assert pictures[NAMES[0]].image().size == (16, 12)
    status = json.loads(saco("status", SUBSET, "--json", cwd=small.folder).stdout)
    assert saco_data.status(GOOGLE_PLACE).as_json() == status
    checked = saco("verify", "--at", GOOGLE_PLACE, "--full", cwd=tmp_path)
    assert checked.returncode == 0 and "0 damaged" in checked.stdout
    # A rerun, and one that lost its ledger, write nothing.
    google_server.requests.clear()
    small.tar.unlink()
    assert small.prepare().code == 0
    written = [each for each in google_server.requests if each.startswith(("PUT", "POST"))]
    assert not [each for each in written if "/images/" in each or "/inventory/" in each]
    (finding,) = [
        each
        for each in machine.examine(small.settings, bind(small.settings, [SUBSET]))
        if each.name.startswith("bucket")
    ]
    assert finding.verdict is Verdict.OK


def test_large_files_go_in_parts_and_are_read_in_ranges(
    tmp_path: Path, google_server: GcsBucketServer
) -> None:
    store, large = open_store(GOOGLE_PLACE), tmp_path / "large"
    large.write_bytes(bytes(range(256)) * (LEAST_PART // 100))
    stamp = store.put("large", large)
    kinds = {each.partition(" ")[0] for each in google_server.requests}
    assert kinds == {"POST", "PUT"} and google_server.requests[f"PUT {BUCKET}/silver/large"] > 2
    assert store.stat("large") == dict(store.list())["large"] == stamp
    with store.open("large") as file:
        file.seek(LEAST_PART - 3)
        content = file.read(7)
    assert content == large.read_bytes()[LEAST_PART - 3 : LEAST_PART + 4]


def test_listings_of_many_pages_are_whole(google_server: GcsBucketServer) -> None:
    google_server.page = 3
    store = open_store(GOOGLE_PLACE)
    names = {f"a/{number}" for number in range(8)}
    for name in names:
        store.put(name, b"1")
    google_server.requests.clear()
    assert {name for name, _ in store.list("a/")} == names
    assert google_server.requests[f"GET {BUCKET}"] == 3


def test_one_run_holds_the_lease_and_a_bucket_without_conditions_is_refused(
    google_server: GcsBucketServer,
) -> None:
    store = open_store(GOOGLE_PLACE)
    with Lease(store, 1.5), pytest.raises(LockHeld), Lease(store, 1.5):
        pass
    require_conditions(store)
    google_server.gate.ignores_conditions = True
    with pytest.raises(OutputError, match="no conditional writes"):
        require_conditions(store)


def test_a_writer_that_comes_between_look_and_write_is_not_overwritten(
    google_server: GcsBucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, usual = open_store(GOOGLE_PLACE), obstore.head
    first = store.put("a", b"first")

    def head(*arguments: Any) -> Any:
        found = usual(*arguments)
        store.put("a", b"other")
        return found

    monkeypatch.setattr(obstore, "head", head)
    with pytest.raises(Changed):
        store.replace("a", b"mine", first)
    assert store.read("a") == b"other"


def test_errors_name_the_remedy_and_no_secret(
    tmp_path: Path, google_server: GcsBucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, name = open_store(GOOGLE_PLACE), "GOOGLE_APPLICATION_CREDENTIALS"
    google_server.gate.all = "AccessDenied"
    with pytest.raises(OutputError, match="AccessDenied") as caught:
        store.put("a", b"1")
    google_server.gate.all = ""
    secret = google_server.secret.splitlines()[1]
    assert secret not in repr(caught.value) and GOOGLE_PLACE in str(caught.value)
    with pytest.raises((OutputError, Incomplete), match="bucket"):
        open_store("gs://no-such-bucket/p").put("a", b"1")
    # Of another account: its key opens nothing here.
    other = GcsBucketServer(tmp_path)
    monkeypatch.setenv(name, other.environment[name])
    with pytest.raises(OutputError, match="AuthenticationRequired"):
        open_store(GOOGLE_PLACE).put("a", b"1")
    damaged = tmp_path / "damaged.json"
    damaged.write_text(json.dumps({"type": "service_account", "private_key": secret}))
    for path in (damaged, tmp_path / "none.json"):
        monkeypatch.setenv(name, str(path))
        with pytest.raises(OutputError, match=name) as caught:
            open_store(GOOGLE_PLACE)
        assert secret not in repr(caught.value)
    # Without any, a machine of Google's is asked, which is not there.
    monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GCE_METADATA_HOST", "127.0.0.1:9")
    monkeypatch.setenv("GCE_METADATA_IP", "127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(OutputError, match=name):
        open_store(GOOGLE_PLACE).put("a", b"1")
