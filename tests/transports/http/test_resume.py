"""A broken download goes on where it broke, in this process or a later one, or starts anew."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from saco_data.model.reasons import Reason
from saco_data.sandbox.http_server import Fault, Faults, FileServer
from saco_data.transports.base import Expect, Policy, Reply, Request
from saco_data.transports.http import Http

DATA = random.Random(2).randbytes(6 << 20)
LARGE = random.Random(3).randbytes(1 << 20) * 56
QUICK = Policy(backoff_seconds=0, stall_timeout=1)

_CHILD = """
import sys
from pathlib import Path
from saco_data.transports.base import Policy, Request
from saco_data.transports.http import Http
with Http(Policy()) as http:
    list(http.fetch([Request("a", sys.argv[1], Path(sys.argv[2]))]))
"""


def fetch(url: str, to: Path, expect: Expect = Expect()) -> Reply:  # noqa: B008
    with Http(QUICK) as http:
        (reply,) = http.fetch([Request("a", url, to, expect)])
    return reply


def killed(url: str, to: Path, least: int) -> int:
    """Downloads in another process, killed with -9; how many bytes its note vouches for."""
    child = subprocess.Popen([sys.executable, "-c", _CHILD, url, str(to)])
    note, deadline, here = to.with_name(f".{to.name}.part.json"), time.monotonic() + 300, 0
    while here < least and time.monotonic() < deadline:
        time.sleep(0.05)
        if note.exists():
            here = sum(stop - start for start, stop in json.loads(note.read_bytes())["spans"])
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert here >= least
    assert not to.exists()
    return here


def test_a_killed_download_is_resumed(tmp_path: Path) -> None:
    to = tmp_path / "a.bin"
    with FileServer({"/a": DATA}, bandwidth=3_000_000) as server:
        here = killed(f"{server.url}/a?sig=s3cret", to, 1 << 20)
        assert "s3cret" not in (tmp_path / ".a.bin.part.json").read_text()
        server.bandwidth, before = 0, server.bytes_sent
        reply = fetch(f"{server.url}/a?sig=another", to)
        assert server.bytes_sent - before <= len(DATA) - here
    assert reply.sha256 == hashlib.sha256(DATA).hexdigest()
    assert to.read_bytes() == DATA
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_killed_download_in_ranges_is_resumed(tmp_path: Path) -> None:
    to = tmp_path / "a.bin"
    with FileServer({"/a": LARGE}, bandwidth=4_000_000) as server:
        here = killed(f"{server.url}/a", to, 16 << 20)
        assert server.busiest > 1
        server.bandwidth, before = 0, server.bytes_sent
        reply = fetch(f"{server.url}/a", to)
        assert server.bytes_sent - before <= len(LARGE) - here + (4 << 20)
    assert reply.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert to.read_bytes() == LARGE


def begun(server: FileServer, to: Path) -> None:
    """Leaves half a file behind, as an interrupted run does."""
    server.faults = Faults((Fault.SHORT_BODY,), 1.0)
    with Http(Policy(attempts=1)) as http:
        (reply,) = http.fetch([Request("a", f"{server.url}/a", to)])
    assert reply.reason is Reason.SHORT_BODY
    assert to.with_name(f".{to.name}.part").stat().st_size > 1 << 20
    server.faults = None


@pytest.mark.parametrize("etags", [True, False], ids=["etag", "date"])
def test_another_version_is_fetched_from_the_beginning(tmp_path: Path, etags: bool) -> None:
    to, source = tmp_path / "a", tmp_path / "source"
    source.write_bytes(DATA)
    with FileServer({"/a": source}, etags=etags) as server:
        begun(server, to)
        time.sleep(1.1)  # dates have whole seconds
        source.write_bytes(DATA[::-1])
        assert fetch(f"{server.url}/a", to).reason is Reason.OK
    assert to.read_bytes() == DATA[::-1]


def test_a_shorter_file_is_fetched_from_the_beginning(tmp_path: Path) -> None:
    with FileServer({"/a": DATA}) as server:
        begun(server, tmp_path / "a")
        server.files["/a"] = DATA[:1000]
        assert fetch(f"{server.url}/a", tmp_path / "a").reason is Reason.OK
    assert (tmp_path / "a").read_bytes() == DATA[:1000]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_server_without_ranges_sends_the_whole_file_again(tmp_path: Path) -> None:
    with FileServer({"/a": DATA}) as server:
        begun(server, tmp_path / "a")
        server.ranges = False
        assert fetch(f"{server.url}/a", tmp_path / "a").reason is Reason.OK
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_part_of_another_address_is_not_used(tmp_path: Path) -> None:
    with FileServer({"/a": DATA, "/b": DATA[::-1]}) as server:
        begun(server, tmp_path / "a")
        assert fetch(f"{server.url}/b", tmp_path / "a").reason is Reason.OK
        assert not any("Range" in headers for _, path, headers in server.seen if path == "/b")
    assert (tmp_path / "a").read_bytes() == DATA[::-1]


@pytest.mark.parametrize(
    "note", [b"", b"[]", b'{"spans": 3}', b'{"url": null, "spans": [[5, 1]]}', b"\xff\xfe"]
)
def test_a_damaged_note_means_a_fresh_download(tmp_path: Path, note: bytes) -> None:
    with FileServer({"/a": DATA}) as server:
        begun(server, tmp_path / "a")
        (tmp_path / ".a.part.json").write_bytes(note)
        assert fetch(f"{server.url}/a", tmp_path / "a").reason is Reason.OK
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_complete_part_is_confirmed_by_one_byte(tmp_path: Path) -> None:
    with FileServer({"/a": DATA}) as server:
        begun(server, tmp_path / "a")
        (tmp_path / ".a.part").write_bytes(DATA)
        note = json.loads((tmp_path / ".a.part.json").read_bytes())
        (tmp_path / ".a.part.json").write_text(json.dumps({**note, "spans": [[0, len(DATA)]]}))
        before = server.bytes_sent
        assert fetch(f"{server.url}/a", tmp_path / "a").reason is Reason.OK
        assert server.bytes_sent - before == 1
    assert (tmp_path / "a").read_bytes() == DATA


@pytest.mark.parametrize("throttled", [True, False], ids=["throttled", "free"])
def test_more_connections_only_where_they_are_faster(tmp_path: Path, throttled: bool) -> None:
    with FileServer({"/a": LARGE}, bandwidth=6_000_000 if throttled else 0) as server:
        reply = fetch(f"{server.url}/a", tmp_path / "a")
        assert (server.busiest > 2) is throttled
    assert reply.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert (tmp_path / "a").read_bytes() == LARGE


def test_more_connections_with_faults(tmp_path: Path) -> None:
    kinds = (Fault.UNAVAILABLE, Fault.RESET, Fault.SHORT_BODY, Fault.NO_RANGES, Fault.HTML)
    faults = Faults(kinds, 0.3, seed=5)
    with FileServer({"/a": LARGE}, faults=faults, bandwidth=6_000_000) as server:
        reply = fetch(f"{server.url}/a", tmp_path / "a")
    assert reply.reason is Reason.OK
    assert (tmp_path / "a").read_bytes() == LARGE
