"""Long streams of remote files: several connections where each is throttled, the bytes in order."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator

import pytest

from saco_data.sandbox.http_server import Fault, Faults, FileServer
from saco_data.transports.base import FileChanged, Policy, Stopped
from saco_data.transports.http import Http
from tests.helpers.stopping import stop_when

MIB = 1 << 20
DATA = b"".join(random.Random(seed).randbytes(MIB) for seed in range(64))
THROTTLED = 6_000_000  # bytes a second for each connection
QUICK = Policy(backoff_seconds=0.01, stall_timeout=5, attempts=9)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer({"/a": DATA}, bandwidth=THROTTLED) as running:
        yield running


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_throttled_connections_are_multiplied(server: FileServer) -> None:
    with Http(QUICK) as http:
        file = http.open(f"{server.url}/a")
        for start, stop in ((0, None), (5 * MIB + 3, 60 * MIB - 1)):
            pieces = list(file.stream(start, stop))
            assert digest(b"".join(pieces)) == digest(DATA[start:stop])
            assert max(map(len, pieces)) <= MIB
        assert server.busiest > 3
        # What was learned stays: the second stream began with several.
        asked = sorted(headers["Range"] for _, _, headers in server.seen if "Range" in headers)
        assert any(each.startswith(f"bytes={9 * MIB + 3}-") for each in asked)


def test_one_connection_is_used_where_no_more_are_allowed(server: FileServer) -> None:
    with Http(Policy(connections_per_file=1)) as http:
        file = http.open(f"{server.url}/a")
        assert digest(b"".join(file.stream())) == digest(DATA)
        assert (server.busiest, server.requests["/a"]) == (1, 2)


@pytest.mark.parametrize("seed", range(3))
def test_broken_connections_are_resumed(server: FileServer, seed: int) -> None:
    kinds = (Fault.RESET, Fault.SHORT_BODY, Fault.UNAVAILABLE)
    with Http(QUICK) as http:
        file = http.open(f"{server.url}/a")
        server.faults = Faults(kinds, 0.3, seed=seed)
        assert digest(b"".join(file.stream())) == digest(DATA)
        assert server.injected.total() >= 1


def test_another_version_in_mid_stream_is_never_mixed_in(server: FileServer) -> None:
    with Http(QUICK) as http:
        stream = http.open(f"{server.url}/a").stream()
        got = [next(stream)]
        server.files["/a"] = DATA[::-1]
        is_changed = False
        try:
            got.extend(stream)
        except FileChanged:
            is_changed = True
        # Without a second connection, the first answer is still that of the old version.
        assert DATA.startswith(b"".join(got)) and (is_changed or b"".join(got) == DATA)


def test_closing_early_ends_all_connections(server: FileServer) -> None:
    with Http(QUICK) as http:
        file = http.open(f"{server.url}/a")
        list(file.stream())
        stream = file.stream()
        assert DATA.startswith(next(stream))
        stream.close()
        before = server.bytes_sent
        assert file.read_at(7, 5) == DATA[7:12]
        assert server.bytes_sent - before < 10 * MIB


def test_a_stop_ends_all_connections(server: FileServer) -> None:
    with Http(QUICK) as http:
        stop: threading.Event = stop_when(lambda: server.busiest > 1)
        with pytest.raises(Stopped):
            list(http.open(f"{server.url}/a", stop=stop).stream())
