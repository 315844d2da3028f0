"""The real gsutil through the CONNECT proxy against a small Cloud Storage on loopback."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pytest

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.sandbox.gcs import HOST, GcsServer
from saco_data.sandbox.http_server import Fault, Faults
from saco_data.sandbox.proxy import ConnectProxy
from saco_data.sandbox.proxy import Request as Recorded
from saco_data.transports.base import Reply, Request
from saco_data.transports.official.gsutil import Gsutil

ROOT = "gs://gresearch/robotics"
# Base names all collide, as those of DROID's cameras do.
OBJECTS = {
    f"robotics/RAIL/Fri_Jul__7_18:50:{second:02}_2023/MP4/22008760.mp4": random.Random(
        second
    ).randbytes(20_000 + second)
    for second in range(12)
}
NAMES = list(OBJECTS)


@pytest.fixture
def server(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[GcsServer, ConnectProxy]]:
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    with GcsServer({"gresearch": OBJECTS}) as gcs, ConnectProxy({HOST: gcs.handler}) as proxy:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        yield gcs, proxy


def request(folder: Path, name: str) -> Request:
    return Request(name, f"gs://gresearch/{name}", folder / name)


def fetch(folder: Path, *names: str, root: str = ROOT) -> dict[str, Reply]:
    replies = Gsutil(root).fetch([request(folder, name) for name in names], threading.Event())
    return {reply.key: reply for reply in replies}


def media(proxy: ConnectProxy) -> set[str]:
    """The objects whose content was asked for, however often."""
    paths = (request.path.partition("?") for request in proxy.requests)
    return {unquote(path).partition("/o/")[2] for path, _, query in paths if "alt=media" in query}


def test_many_files_of_one_base_name_in_two_processes(
    server: tuple[GcsServer, ConnectProxy], tmp_path: Path
) -> None:
    gcs, proxy = server
    gcs.forbidden.add(f"gresearch/{NAMES[3]}")
    begun = time.monotonic()
    replies = fetch(tmp_path, *NAMES, "robotics/RAIL/gone.mp4", "robotics/*/wild.mp4")
    took = time.monotonic() - begun
    assert replies.pop(NAMES[3]).reason is Reason.UNAUTHORIZED
    assert replies.pop("robotics/RAIL/gone.mp4").reason is Reason.OBJECT_MISSING
    assert replies.pop("robotics/*/wild.mp4").reason is Reason.UNSAFE_NAME
    for name, reply in replies.items():
        assert reply.reason is Reason.OK
        assert reply.bytes == len(OBJECTS[name])
        assert reply.facts["generation"].isdecimal()
        assert (tmp_path / name).read_bytes() == OBJECTS[name]
    assert len(replies) == 11
    assert len(media(proxy)) == 11
    assert HOST in {request.host for request in proxy.requests}  # the production address
    print(f"{len(NAMES)} files in {took:.1f} s")


@dataclass(frozen=True)
class InMedia(Faults):
    """A fault in the first answer that brings the content of an object."""

    requests: list[Recorded] = field(default_factory=list)  # those of the proxy
    to_come: dict[str, Fault] = field(default_factory=dict)  # by name of the object

    def draw(self, path: str, number: int) -> Fault | None:
        name = path.partition("/o/")[2]
        asked = [request.path.partition("?") for request in self.requests]
        queries = [query for asked_path, _, query in asked if unquote(asked_path) == path]
        return self.to_come.pop(name, None) if "alt=media" in queries[-1] else None


def test_damaged_and_broken_streams_are_noticed(
    server: tuple[GcsServer, ConnectProxy], tmp_path: Path
) -> None:
    gcs, proxy = server
    faults = {NAMES[1]: Fault.WRONG_BYTES, NAMES[3]: Fault.SHORT_BODY}
    gcs.faults = InMedia(requests=proxy.requests, to_come=faults)
    replies = fetch(tmp_path, *NAMES[:5])
    assert gcs.injected == {Fault.WRONG_BYTES: 1, Fault.SHORT_BODY: 1}
    for name, reply in replies.items():
        assert reply.reason is Reason.OK
        assert (tmp_path / name).read_bytes() == OBJECTS[name]


def test_a_slow_consumer_holds_the_stream_back(
    server: tuple[GcsServer, ConnectProxy], tmp_path: Path
) -> None:
    gcs, proxy = server
    gcs.buckets["gresearch"].update(dict.fromkeys(NAMES[:6], bytes(3_000_000)))
    replies = Gsutil(ROOT).fetch([request(tmp_path, name) for name in NAMES[:6]], threading.Event())
    next(replies)
    time.sleep(0.5)
    assert len(media(proxy)) <= 3
    assert len(list(tmp_path.rglob("*.mp4"))) == 1
    replies.close()
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith("saco-tmp")]


def test_a_wrong_folder_is_not_taken_for_lost_videos(
    server: tuple[GcsServer, ConnectProxy], tmp_path: Path
) -> None:
    for root in ("gs://gresearch/typo", "gs://no-such-bucket/robotics"):
        with pytest.raises(Blocked, match="droid_gcs") as caught:
            list(Gsutil(root).fetch([Request("a", f"{root}/a", tmp_path / "a")], threading.Event()))
        assert caught.value.reason is Reason.RAW_MISSING


def test_no_access_at_all_blocks_the_source(
    server: tuple[GcsServer, ConnectProxy], tmp_path: Path
) -> None:
    gcs, _ = server
    gcs.forbidden.update(f"gresearch/{name}" for name in NAMES[:2])
    with pytest.raises(Blocked) as caught:
        fetch(tmp_path, *NAMES[:2])
    assert caught.value.reason is Reason.UNAUTHORIZED
    assert "gsutil config" in caught.value.remedy


def test_a_throttle_blocks_the_source(
    server: tuple[GcsServer, ConnectProxy], tmp_path: Path
) -> None:
    gcs, _ = server
    gcs.faults = Faults((Fault.THROTTLED,), probability=1)
    with pytest.raises(Blocked) as caught:
        wanted = [request(tmp_path, NAMES[0])]
        list(Gsutil(ROOT, retries=0).fetch(wanted, threading.Event()))
    assert caught.value.reason is Reason.THROTTLED
    assert gcs.requests.total() == 1
