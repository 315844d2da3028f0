"""Remote files read in place."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.sandbox.http_server import Answer, Fault, Faults, FileServer
from saco_data.transports.base import Failure, FileChanged, Policy, RangeReader
from saco_data.transports.http import Http

DATA = random.Random(4).randbytes(7_500_000)
QUICK = Policy(backoff_seconds=0, stall_timeout=1)


def test_a_file_is_read_from_anywhere() -> None:
    with FileServer({"/a": DATA}) as server, Http(QUICK) as http:
        file: RangeReader = http.open(f"{server.url}/a?sig=s3cret")
        assert (file.size, file.seekable, file.origin) == (len(DATA), True, f"{server.url}/a")
        assert file.identity.startswith('"')
        pieces = list(file.stream())
        assert b"".join(pieces) == DATA
        assert max(map(len, pieces)) <= 1 << 20
        assert b"".join(file.stream(1_234_567, 3_456_789)) == DATA[1_234_567:3_456_789]
        assert file.read_at(10, 5) == DATA[10:15]
        assert file.read_at(len(DATA) - 3, 10) == DATA[-3:]
        assert file.read_at(len(DATA), 10) == b""


def test_an_empty_file() -> None:
    with FileServer({"/a": b""}) as server, Http(QUICK) as http:
        file = http.open(f"{server.url}/a")
        assert (file.size, list(file.stream())) == (0, [])


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_stream_is_resumed(ranges: bool) -> None:
    faults = Faults((Fault.RESET, Fault.SHORT_BODY, Fault.UNAVAILABLE), 0.5, seed=2)
    with FileServer({"/a": DATA}, ranges=ranges, faults=faults) as server, Http(QUICK) as http:
        file = http.open(f"{server.url}/a")
        assert file.seekable is ranges
        for _ in range(3):
            assert b"".join(file.stream()) == DATA
        assert server.injected.total() >= 1


def test_another_version_is_an_error(tmp_path: Path) -> None:
    with FileServer({"/a": DATA}) as server, Http(QUICK) as http:
        file = http.open(f"{server.url}/a")
        assert file.read_at(0, 4) == DATA[:4]
        server.files["/a"] = DATA[::-1]
        with pytest.raises(FileChanged):
            file.read_at(0, 4)
        with pytest.raises(FileChanged):
            list(file.stream(1000))


def test_closing_early_and_many_at_once() -> None:
    with FileServer({"/a": DATA}) as server, Http(Policy(concurrency=1)) as http:
        file = http.open(f"{server.url}/a")
        streams = [file.stream(start) for start in range(0, 1200, 100)]
        for number, stream in enumerate(streams):
            assert next(stream)[:5] == DATA[number * 100 : number * 100 + 5]
        for stream in streams:
            stream.close()
        assert file.read_at(5, 5) == DATA[5:10]


def test_failures_of_open() -> None:
    with FileServer({"/a": DATA}) as server, Http(QUICK) as http:
        server.route("/no", lambda query: Answer(b"no", 403))
        with pytest.raises(Failure) as gone:
            http.open(f"{server.url}/b")
        with pytest.raises(Blocked) as refused:
            http.open(f"{server.url}/no?X-Amz-Signature=s3cret")
    assert gone.value.reason is Reason.HTTP_404
    assert refused.value.reason is Reason.LINK_EXPIRED
    assert "s3cret" not in str(refused.value)
