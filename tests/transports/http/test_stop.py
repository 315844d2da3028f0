"""A run that is to end early ends at once, whatever a server does, and loses nothing."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import pytest

from saco_data import sources
from saco_data.engine.subset import bind_one
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Product
from saco_data.sandbox.http_server import Fault, Faults, FileServer
from saco_data.sandbox.packing import pack_tar
from saco_data.transports import archive
from saco_data.transports.base import Policy, Request, Stopped
from saco_data.transports.http import Http
from tests.helpers.annotations import annotate, document, image
from tests.helpers.folders import config
from tests.helpers.stopping import stop_when

DATA = random.Random(8).randbytes(3 << 20)
SLOW = 200_000  # bytes a second: 15 seconds for DATA
FOREVER = 7200  # seconds


def test_a_stop_cancels_what_is_under_way_and_its_part_stays(tmp_path: Path) -> None:
    to = tmp_path / "a"
    with FileServer({"/a": DATA}, bandwidth=SLOW) as server, Http(Policy()) as http:
        part = tmp_path / ".a.part"
        stop = stop_when(lambda: part.exists() and part.stat().st_size > 0)
        assert list(http.fetch([Request("a", f"{server.url}/a", to)], stop)) == []
        assert server.bytes_sent < len(DATA)
        assert sorted(path.name for path in tmp_path.iterdir()) == [".a.part", ".a.part.json"]
        server.bandwidth, before = 0, server.bytes_sent
        (reply,) = http.fetch([Request("a", f"{server.url}/a", to)])
        assert server.bytes_sent - before < len(DATA)
    assert reply.reason is Reason.OK
    assert to.read_bytes() == DATA


def test_a_stop_does_not_wait_for_a_silent_server() -> None:
    faults = Faults((Fault.STALL,), 1.0, stall=FOREVER)
    with FileServer({"/a": DATA}) as server, Http(Policy()) as http:
        stop = stop_when(lambda: server.bytes_sent >= len(DATA) // 2)
        file = http.open(f"{server.url}/a", stop=stop)
        server.faults = faults
        with pytest.raises(Stopped):
            list(file.stream())
        server.latency, before = FOREVER, server.requests["/a"]
        stop = stop_when(lambda: server.requests["/a"] > before)
        with pytest.raises(Stopped):
            http.open(f"{server.url}/a", stop=stop)


def test_a_stop_ends_a_source_in_mid_video(tmp_path: Path) -> None:
    name = "RAIL_success_2023-07-07_Fri_recordings_MP4_1.mp4"
    annotate(
        tmp_path,
        "droid",
        document(image(1, "a/1.jpg", original_video=name, global_frame_idx=0, image_size=[9, 9])),
    )
    video = "/RAIL/success/2023-07-07/Fri/recordings/MP4/1.mp4"
    with FileServer({video: b"\0\0\0\x18ftyp" + DATA}, bandwidth=SLOW) as server:
        source = bind_one(config(tmp_path, endpoints={"droid_https": server.url}), "droid").source
        asset = Asset(name, (Product("a/1.jpg", 9, 9, name, 0, (9, 9)),))
        stop = stop_when(lambda: server.bytes_sent > 0)
        assert list(source.fetch([asset], sources.Context(stop))) == []
        assert server.bytes_sent < len(DATA)


def archive_with_late_member(folder: Path) -> tuple[bytes, Asset]:
    """A tar whose only wanted member stands at its end, and that member as an asset."""
    annotate(folder, "bdd100k", document(image(1, "a.jpg")))
    unwanted = {f"bdd/100k/val/{n:02}.jpg": DATA[n << 16 : (n + 1) << 16] for n in range(48)}
    body = pack_tar({**unwanted, "zbdd/100k/train/a.jpg": b"wanted"})
    return body, Asset("a.jpg", (Product("a.jpg", 160, 120),))


def test_a_stop_ends_an_archive_between_wanted_members(tmp_path: Path) -> None:
    body, asset = archive_with_late_member(tmp_path)
    files = {"/a.tgz": gzip.compress(body, 1)}
    with FileServer(files, bandwidth=SLOW) as server:
        settings = config(tmp_path, bdd100k_raw=f"{server.url}/a.tgz")
        source = sources.make(settings.subset("bdd100k"))
        stop = stop_when(lambda: server.bytes_sent > 1 << 17)  # more than its beginning
        assert list(source.fetch([asset], sources.Context(stop))) == []
        assert server.bytes_sent < len(DATA)
        server.bandwidth = 0
        (arrival,) = source.fetch([asset], sources.Context())
    assert isinstance(arrival, Arrival)
    assert arrival.owned or arrival.raw == b"wanted"


def test_a_stop_ends_an_archive_on_disk_too(tmp_path: Path) -> None:
    body, asset = archive_with_late_member(tmp_path)
    (tmp_path / "a.tar").write_bytes(body)
    context = sources.Context()
    context.stop.set()
    source = bind_one(config(tmp_path, bdd100k_raw="a.tar"), "bdd100k").source
    assert list(source.fetch([asset], context)) == []
    with pytest.raises(Stopped):
        list(archive.members(tmp_path / "a.tar", lambda name: False, stop=context.stop))
