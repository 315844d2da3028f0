"""yt-dlp's real YouTube extractor against its production URLs, answered by the sandbox."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import av
import pytest

from saco_data.model.errors import DiskFull, OutputError
from saco_data.model.reasons import Reason, State
from saco_data.sandbox.youtube import Fault, Video
from saco_data.transports.base import Stopped
from saco_data.transports.youtube.fingerprint import NotVideoError, fingerprint
from saco_data.transports.youtube.session import YoutubeOptions, YoutubeSession
from tests.helpers.stopping import stop_when
from tests.helpers.waiting import wait_until
from tests.transports.youtube.downloads import (
    GOOD,
    OTHER,
    Start,
    fetch,
    media,
    quick,
    request,
)


def test_720p_at_30_fps_in_h264_is_chosen_and_described(
    start: Start, mp4: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _, proxy = start({GOOD: mp4})
    to = tmp_path / "videos" / "video.mp4"
    reply = fetch(GOOD, to)
    assert reply.reason is Reason.OK
    assert to.read_bytes() == mp4.read_bytes()
    assert media(proxy) and all("itag=136&" in path for path in media(proxy))
    assert reply.facts == {"format_id": "136", "uploader": "A Channel", **fingerprint(mp4)}
    expected = {"fps": 30.0, "width": 160, "height": 90, "frames": 30, "codec": "h264"}
    assert expected.items() <= reply.facts.items()
    assert reply.facts["duration"] == 1.0
    assert [path.name for path in to.parent.iterdir()] == ["video.mp4"]
    assert proxy.unknown == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [((18, 137, 298, 247, 140), "18"), ((18, 135), "135"), ((298, 247, 137, 140), None)],
)
def test_the_format_when_720p_is_not_offered(
    start: Start, mp4: Path, tmp_path: Path, offered: tuple[int, ...], chosen: str | None
) -> None:
    start({GOOD: mp4}, itags=offered)
    reply = fetch(GOOD, tmp_path / "v.mp4")
    assert reply.facts.get("format_id") == chosen
    assert reply.reason is (Reason.OK if chosen else Reason.EXTRACTOR_ERROR)


def test_a_broken_transfer_is_resumed(start: Start, mp4: Path, tmp_path: Path) -> None:
    _, proxy = start({GOOD: Video(mp4, resets=2)})
    assert fetch(GOOD, tmp_path / "v.mp4").reason is Reason.OK
    assert (tmp_path / "v.mp4").read_bytes() == mp4.read_bytes()
    starts = [
        int(r.headers["Range"].removeprefix("bytes=").split("-")[0])
        for r in proxy.requests
        if r.host.endswith(".googlevideo.com")
    ]
    assert starts == sorted(set(starts))
    assert len(starts) == 3


def test_transfers_that_always_break_fail_and_keep_the_part(
    start: Start, mp4: Path, tmp_path: Path
) -> None:
    site, _ = start({GOOD: Video(mp4, resets=2)})
    to = tmp_path / "v.mp4"
    reply = fetch(GOOD, to, retries=1)
    assert (reply.reason.state, to.exists()) == (State.FAILED, False)
    assert site.signature not in reply.detail
    (part,) = (tmp_path / ".partial").iterdir()
    assert 0 < part.stat().st_size < mp4.stat().st_size
    assert fetch(GOOD, to).reason is Reason.OK
    assert to.read_bytes() == mp4.read_bytes()


def test_kill_9_in_mid_download_then_resume(start: Start, mp4: Path, tmp_path: Path) -> None:
    site, proxy = start({GOOD: Video(mp4, speed=200_000)})
    to = tmp_path / "v.mp4"
    code = (
        "import sys; from pathlib import Path\n"
        "from saco_data.transports.youtube.session import *\n"
        "url = 'https://www.youtube.com/watch?v=' + sys.argv[1]\n"
        "request = Request(sys.argv[1], url, Path(sys.argv[2]))\n"
        "with YoutubeSession(YoutubeOptions()) as s: s.fetch(request)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, GOOD, str(to)], env=os.environ)
    part: list[Path] = []

    def has_come() -> bool:
        assert child.poll() is None
        part[:] = tmp_path.glob(".partial/*.part")
        return bool(part) and part[0].stat().st_size >= 50_000

    wait_until(has_come)
    child.send_signal(signal.SIGKILL)
    child.wait()
    size = part[0].stat().st_size
    assert not to.exists()

    video = site.catalogue[GOOD]
    assert isinstance(video, Video)
    video.speed = 0
    assert fetch(GOOD, to).reason is Reason.OK
    ranges = [each.headers.get("Range") or "" for each in proxy.requests]
    assert any(each.startswith(f"bytes={size}-") for each in ranges)
    assert to.read_bytes() == mp4.read_bytes()


def test_a_part_that_is_whole_gets_its_name(start: Start, mp4: Path, tmp_path: Path) -> None:
    """A run that was killed, or met a disk in trouble, before its file got its name."""
    start({GOOD: Video(mp4)})
    to = tmp_path / "v.mp4"
    folder = tmp_path / ".partial"
    folder.mkdir()
    size = mp4.stat().st_size
    (folder / f"video_{GOOD}.136-{size}.mp4.part").write_bytes(mp4.read_bytes())
    assert fetch(GOOD, to).reason is Reason.OK
    assert to.read_bytes() == mp4.read_bytes()
    assert not folder.exists()


def test_a_part_of_another_version_is_not_continued(
    start: Start, mp4: Path, tmp_path: Path
) -> None:
    site, _ = start({GOOD: Video(mp4, resets=1)})
    to = tmp_path / "v.mp4"
    assert fetch(GOOD, to, retries=0).reason.state is State.FAILED
    other = tmp_path / "other.mp4"
    content = mp4.read_bytes()
    # Differs in the part that came before, and in length by one empty atom.
    other.write_bytes(content[:4] + b"ftypiso5" + content[12:] + b"\0\0\0\x08free")
    site.catalogue[GOOD] = other
    assert fetch(GOOD, to).reason is Reason.OK
    assert to.read_bytes() == other.read_bytes()
    assert not (tmp_path / ".partial").exists()


@pytest.mark.parametrize("content", [b"<html>no video</html>", b"\0" * 5000, b""])
def test_a_file_that_is_not_a_video_never_gets_the_final_name(
    start: Start, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "bad").write_bytes(content)
    start({GOOD: tmp_path / "bad"})
    reply = fetch(GOOD, tmp_path / "v.mp4", retries=0)
    assert reply.reason.state is State.FAILED
    assert not (tmp_path / "v.mp4").exists()
    assert not (tmp_path / ".partial").exists() or not content


@pytest.mark.parametrize(
    "error", [RecursionError, AssertionError, RuntimeError, ZeroDivisionError, OSError, KeyError]
)
def test_an_unexpected_error_of_yt_dlp_fails_one_video(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def stumbles(*_: object, **__: object) -> None:
        raise error("odd")

    with YoutubeSession(quick()) as session:
        monkeypatch.setattr(session._downloader, "extract_info", stumbles)
        reply = session.fetch(request(GOOD, tmp_path / "v.mp4"))
        assert reply.reason is Reason.EXTRACTOR_ERROR and error.__name__ in reply.detail
        for ours in (Stopped(), DiskFull("full"), OSError(errno.ENOSPC, "full")):
            monkeypatch.setattr(session._downloader, "extract_info", Mock(side_effect=ours))
            with pytest.raises((Stopped, DiskFull)):
                session.fetch(request(GOOD, tmp_path / "v.mp4"))


def test_odd_words_in_a_video_do_not_matter(mp4: Path, tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    with av.open(str(mp4)) as source, av.open(str(path), "w") as container:
        container.metadata["title"] = "XXXXXXXXXX"
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    content = path.read_bytes()
    assert b"XXXXXXXXXX" in content
    path.write_bytes(content.replace(b"XXXXXXXXXX", b"\xe9\xe8\xff\xfeXXXXXX"))
    assert fingerprint(path)["frames"] == 30


def test_a_playlist_is_not_downloaded(mp4: Path, tmp_path: Path) -> None:
    (tmp_path / "other.mp4").write_bytes(mp4.read_bytes())
    (tmp_path / "v.mp4").write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(NotVideoError):
        fingerprint(tmp_path / "v.mp4")


def test_a_truncated_video_is_a_failure(mp4: Path, tmp_path: Path) -> None:
    content = mp4.read_bytes()
    (tmp_path / "cut.mp4").write_bytes(content[: len(content) // 2])
    with pytest.raises(Exception, match="does not decode"):
        fingerprint(tmp_path / "cut.mp4")


def test_forbidden_media_is_a_failure_not_gone(start: Start, mp4: Path, tmp_path: Path) -> None:
    start({GOOD: Video(mp4, forbidden=1)})
    reply = fetch(GOOD, tmp_path / "v.mp4")
    assert (reply.reason, reply.reason.state) == (Reason.HTTP_ERROR, State.FAILED)
    assert fetch(GOOD, tmp_path / "v.mp4").reason is Reason.OK


def test_full_disk_and_unwritable_folder_stop_the_run(
    start: Start, mp4: Path, tmp_path: Path
) -> None:
    start({GOOD: mp4})
    (tmp_path / ".partial").mkdir()
    part = tmp_path / ".partial" / f"video_{GOOD}.136-{mp4.stat().st_size}.mp4.part"
    part.symlink_to("/dev/full")
    with pytest.raises(DiskFull):
        fetch(GOOD, tmp_path / "v.mp4")
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        fetch(GOOD, tmp_path / "file" / "v.mp4")


def test_no_network_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(GOOD, tmp_path / "v.mp4", retries=1).reason is Reason.NETWORK


def test_an_authority_that_the_user_did_not_name_is_refused(
    start: Start, mp4: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start({GOOD: mp4})
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    reply = fetch(GOOD, tmp_path / "v.mp4", retries=0)
    assert (reply.reason, (tmp_path / "v.mp4").exists()) == (Reason.NETWORK, False)


def test_stopping_keeps_the_part(start: Start, mp4: Path, tmp_path: Path) -> None:
    start({GOOD: Video(mp4, speed=mp4.stat().st_size // 300)})  # 5 minutes for all
    stop = stop_when(lambda: any(tmp_path.glob(".partial/*.part")))
    with pytest.raises(Stopped):
        fetch(GOOD, tmp_path / "v.mp4", stop=stop)
    (part,) = tmp_path.glob(".partial/*.part")
    assert part.stat().st_size < mp4.stat().st_size


def test_every_request_keeps_the_pace(start: Start, mp4: Path, tmp_path: Path) -> None:
    _, proxy = start({GOOD: Video(mp4, resets=2), OTHER: Fault.PRIVATE})
    options = YoutubeOptions(requests_per_second=10, first_wait=0)
    with YoutubeSession(options) as session:
        session.fetch(request(GOOD, tmp_path / "v.mp4"))
        session.fetch(request(OTHER, tmp_path / "w.mp4"))
    times = [request.time for request in proxy.requests]
    assert len(times) > 2
    assert min(b - a for a, b in pairwise(times)) >= 0.1


@pytest.mark.parametrize(
    "name", ["", "short", "a" * 12, "../../../ab", "--exec=rm -", "abc def ghi"]
)
def test_malformed_ids_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="not a YouTube id"):
        fetch(name, tmp_path / "v.mp4")
