"""DROID: object names, and downloads over HTTPS and through gsutil."""

from __future__ import annotations

import hashlib
import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.config import settings as config
from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sandbox.gcs import HOST, GcsServer
from saco_data.sandbox.http_server import Fault, Faults
from saco_data.sandbox.proxy import ConnectProxy
from saco_data.sources.base import Context
from saco_data.sources.droid import DroidSource, object_name
from saco_data.storage.names import UnsafeName

ROOT = "robotics/droid_raw/1.0.1"
COLON = "AUTOLab_failure_2023-07-07_Fri_Jul__7_18:50:36_2023_recordings_MP4_22008760.mp4"
SCORE = "RAIL_success_2023-04-17_Mon_Apr_17_15_09_09_2023_recordings_MP4_22008760.mp4"
STEREO = "PennPAL_success_2023-07-10_Mon_Jul_10_09:00:01_2023_recordings_MP4_11-stereo.mp4"
LOST = "TRI_success_2023-07-10_Mon_Jul_10_09:00:01_2023_recordings_MP4_1.mp4"
OBJECTS = {
    COLON: "AUTOLab/failure/2023-07-07/Fri_Jul__7_18:50:36_2023/recordings/MP4/22008760.mp4",
    SCORE: "RAIL/success/2023-04-17/Mon_Apr_17_15_09_09_2023/recordings/MP4/22008760.mp4",
    STEREO: "PennPAL/success/2023-07-10/Mon_Jul_10_09:00:01_2023/recordings/MP4/11-stereo.mp4",
}


@pytest.fixture(scope="module")
def film() -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for level in (0, 100, 200):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), level, np.uint8), "rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def variant(film: bytes, mark: str) -> bytes:
    """The same film with other bytes: appends a box that players skip."""
    return film + struct.pack(">I4s", 8 + len(mark), b"free") + mark.encode()


@pytest.fixture
def server(film: bytes) -> Iterator[GcsServer]:
    objects = {f"{ROOT}/{name}": variant(film, video) for video, name in OBJECTS.items()}
    with GcsServer({"gresearch": objects}) as gcs:
        yield gcs


def source(folder: Path, more: str) -> DroidSource:
    return DroidSource(
        config.parse(f"droid_path: d\n{more}", folder / "CONFIG_FRAMES.yaml").subset("droid")
    )


def over_https(folder: Path, server: GcsServer, more: str = "") -> DroidSource:
    url = f"{server.public_url('gresearch')}/{ROOT}"
    return source(folder, f"endpoints: {{droid_https: '{url}'}}\n{more}")


def run(fetcher: DroidSource, *videos: str) -> dict[str, Arrival | Outcome]:
    items = fetcher.fetch([Asset(video, ()) for video in videos], Context())
    return {i.asset.key if isinstance(i, Arrival) else i.key: i for i in items}


def check(found: dict[str, Arrival | Outcome], folder: Path, film: bytes) -> None:
    for video in OBJECTS:
        arrival = found[video]
        assert isinstance(arrival, Arrival)
        assert arrival.raw == folder / "d/downloaded_videos" / video
        assert arrival.raw.read_bytes() == variant(film, video)
        assert arrival.owned


def test_the_digest_of_a_video_is_known(server: GcsServer, tmp_path: Path, film: bytes) -> None:
    arrival = run(over_https(tmp_path, server), SCORE)[SCORE]
    assert isinstance(arrival, Arrival)
    assert arrival.facts["sha256"] == hashlib.sha256(variant(film, SCORE)).hexdigest()


def test_names() -> None:
    for video, name in OBJECTS.items():
        assert object_name(video) == name


_WORD = st.from_regex(r"[A-Za-z0-9]{1,8}", fullmatch=True)


@given(
    lab=_WORD,
    outcome=st.sampled_from(["success", "failure"]),
    time=st.from_regex(re.compile(r"[A-Za-z0-9:_]{1,30}", re.ASCII), fullmatch=True),
    camera=_WORD,
    stereo=st.sampled_from(["", "-stereo"]),
)
def test_names_are_read_from_both_ends(
    lab: str, outcome: str, time: str, camera: str, stereo: str
) -> None:
    video = f"{lab}_{outcome}_2023-07-07_{time}_recordings_MP4_{camera}{stereo}.mp4"
    name = f"{lab}/{outcome}/2023-07-07/{time}/recordings/MP4/{camera}{stereo}.mp4"
    assert object_name(video) == name


@given(st.text() | st.text().map(lambda t: COLON.replace("Fri", t)))
def test_no_name_leaves_its_folder(video: str) -> None:
    try:
        parts = object_name(video).split("/")
    except UnsafeName:
        return
    assert len(parts) == 7
    assert not {"", ".", ".."} & set(parts)


def test_over_https(server: GcsServer, tmp_path: Path, film: bytes) -> None:
    found = run(over_https(tmp_path, server), *OBJECTS, LOST, "what.mp4", "../" + COLON)
    check(found, tmp_path, film)
    gone, odd, out = found[LOST], found["what.mp4"], found["../" + COLON]
    assert isinstance(gone, Outcome)
    assert isinstance(odd, Outcome)
    assert isinstance(out, Outcome)
    assert (gone.reason, odd.reason, out.reason) == (
        Reason.HTTP_404,
        Reason.UNSAFE_NAME,
        Reason.UNSAFE_NAME,
    )
    server.requests.clear()
    check(run(over_https(tmp_path, server), *OBJECTS), tmp_path, film)
    assert not server.requests  # files on disk need no request


def test_bytes_with_another_digest_than_google_s_are_refused(
    server: GcsServer, tmp_path: Path, film: bytes
) -> None:
    server.faults = Faults((Fault.WRONG_BYTES, Fault.RESET), probability=1, first=1)
    check(run(over_https(tmp_path, server), *OBJECTS), tmp_path, film)
    assert server.injected


def test_a_throttled_bucket_blocks_the_source(server: GcsServer, tmp_path: Path) -> None:
    server.faults = Faults((Fault.THROTTLED,), probability=1, retry_after=100_000)
    with pytest.raises(Blocked) as caught:
        run(over_https(tmp_path, server), *OBJECTS)
    assert caught.value.reason is Reason.THROTTLED
    assert not list(tmp_path.rglob("*.mp4"))


def test_removal_bounds_the_videos_fetched_ahead(server: GcsServer, tmp_path: Path) -> None:
    fetcher = over_https(tmp_path, server, "remove_downloaded_videos_droid: true")
    most = 0
    for item in fetcher.fetch([Asset(video, ()) for video in OBJECTS], Context()):
        assert isinstance(item, Arrival)
        assert isinstance(item.raw, Path)
        most = max(most, len(list(item.raw.parent.glob("*.mp4"))))
        item.raw.unlink()
    assert most <= 2


def test_the_production_addresses(
    server: GcsServer,
    tmp_path: Path,
    film: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with ConnectProxy({HOST: server.handler}) as proxy:
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        check(run(source(tmp_path / "a", ""), *OBJECTS), tmp_path / "a", film)
        gsutil = source(tmp_path / "b", "transport: {droid: gsutil}")
        found = run(gsutil, *OBJECTS, LOST)
        check(found, tmp_path / "b", film)
        lost = found[LOST]
        assert isinstance(lost, Outcome)
        assert lost.reason is Reason.OBJECT_MISSING
        assert gsutil.location().startswith("gs://")
        assert {request.host for request in proxy.requests} == {HOST}
