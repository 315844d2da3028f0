"""The protocol of a store: a folder and a bucket behave alike."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from saco_data.config.yaml_text import is_bucket
from saco_data.model.errors import Incomplete, OutputError, UsageError
from saco_data.sandbox.s3 import SECRET_KEY, S3Server
from saco_data.storage.names import UnsafeName
from saco_data.storage.store import Changed, Exists, Store, open_store
from tests.helpers.bucket import PLACE


@pytest.fixture
def store(place: str) -> Store:
    return open_store(place)


def test_what_was_put_is_there(store: Store, tmp_path: Path) -> None:
    stamp = store.put("images/nga/a.jpg", b"content")
    assert store.read("images/nga/a.jpg") == b"content"
    assert store.stat("images/nga/a.jpg") == stamp and stamp.size == 7
    large = tmp_path / "large"
    large.write_bytes(bytes(range(256)) * 50_000)
    stamp = store.put("large", large)
    assert store.stat("large") == stamp and store.read("large") == large.read_bytes()
    assert store.stat("none") is None and store.stat("images") is None
    with pytest.raises(FileNotFoundError):
        store.read("none")


def test_only_new_never_overwrites(store: Store) -> None:
    store.put("a", b"first", only_new=True)
    with pytest.raises(Exists):
        store.put("a", b"second", only_new=True)
    assert store.read("a") == b"first"
    store.put("a", b"third")
    assert store.read("a") == b"third"


def test_replace_needs_the_present_stamp(store: Store) -> None:
    first = store.put("a", b"first")
    second = store.replace("a", b"second", first)
    for stale in (first, type(first)(6, "0" * 32)):
        with pytest.raises(Changed):
            store.replace("a", b"third", stale)
    assert store.read("a") == b"second" and store.stat("a") == second
    store.delete(["a"])
    with pytest.raises(Changed):
        store.replace("a", b"fourth", second)
    assert store.stat("a") is None


def test_one_of_many_creators_wins(store: Store) -> None:
    won: list[int] = []

    def create(number: int) -> None:
        try:
            store.put("one", str(number).encode(), only_new=True)
            won.append(number)
        except Exists:
            pass

    threads = [threading.Thread(target=create, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1 and store.read("one") == str(won[0]).encode()


def test_ranges_are_read(store: Store) -> None:
    store.put("a", bytes(range(200)))
    with store.open("a") as file:
        file.seek(100)
        assert bytes(file.read(3)) == bytes([100, 101, 102])
    with pytest.raises(FileNotFoundError), store.open("none"):
        pass


def test_lists_with_sizes_and_tags(store: Store) -> None:
    stamps = {name: store.put(name, name.encode()) for name in ("a/1", "a/b/2", "ab/3", "4")}
    assert dict(store.list()) == stamps
    assert dict(store.list("a/")) == {name: stamps[name] for name in ("a/1", "a/b/2")}
    assert dict(store.list("none/")) == {}
    store.delete(["a/1", "none"])
    assert set(dict(store.list("a/"))) == {"a/b/2"}


@pytest.mark.parametrize("name", ["../a", "/a", "a//b", "a\\b", "", "a/../../b"])
def test_names_stay_in_the_store(store: Store, name: str) -> None:
    for act in (lambda: store.put(name, b""), lambda: store.read(name), lambda: store.stat(name)):
        with pytest.raises(UnsafeName):
            act()


def test_names_with_odd_characters(store: Store) -> None:
    for name in ("a b:c#d%20.jpg", "ä/é.png"):
        store.put(name, b"1")
        assert store.read(name) == b"1" and name in dict(store.list())


def test_addresses() -> None:
    assert is_bucket("s3://b/p") and is_bucket("GS://b") and not is_bucket("data/silver")
    for place in ("s3://key:word@bucket/p", "s3://bucket/p?x=1"):
        with pytest.raises(UsageError) as caught:
            open_store(place)
        assert "word" not in str(caught.value)


def test_errors_tell_no_secret(bucket_server: S3Server) -> None:
    store = open_store(PLACE)
    for code, kind in {"AccessDenied": OutputError, "SignatureDoesNotMatch": OutputError}.items():
        bucket_server.gate.all = code
        with pytest.raises(kind) as caught:
            store.put("a", b"1")
        assert SECRET_KEY not in repr(caught.value) and PLACE in str(caught.value)
    bucket_server.gate.all = ""
    with pytest.raises((OutputError, Incomplete), match="bucket"):
        open_store("s3://no-such-bucket/p").put("a", b"1")
    assert SECRET_KEY.encode() not in pickle.dumps(store)


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    yield
