"""yt-dlp's real YouTube extractor against its production URLs, answered by the sandbox."""

from __future__ import annotations

import errno
import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.model.errors import Blocked, DiskFull, OutputError
from saco_data.model.reasons import Reason, State
from saco_data.sandbox.proxy import ConnectProxy
from saco_data.sandbox.youtube import TRAILER, Fault, Video, YouTube
from saco_data.transports.base import Reply, Request, Stopped
from saco_data.transports.youtube.cookies import check_cookies
from saco_data.transports.youtube.fingerprint import NotVideoError, fingerprint
from saco_data.transports.youtube.messages import classify, clean
from saco_data.transports.youtube.session import YoutubeOptions, YoutubeSession
from tests.helpers.stopping import stop_when
from tests.helpers.waiting import wait_until

GOOD = "dQw4w9WgXcQ"
OTHER = "-_other_id-"
SECRET = "g.a000-very-secret-cookie-value"
LOGIN = "AFmmF2swRQIh-login-info-value"

Start = Callable[..., tuple[YouTube, ConnectProxy]]


@pytest.fixture(scope="session")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 frames of noise, some 260 kB."""
    path = tmp_path_factory.mktemp("media") / "a.mp4"
    noise = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        for _ in range(30):
            picture = noise.integers(0, 255, (90, 160, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a YouTube whose production addresses lead to the sandbox."""
    running: list[ConnectProxy] = []

    def begin(catalogue: dict[str, Path | Video | Fault], **options: object) -> object:
        site = YouTube(catalogue, **options)  # type: ignore[arg-type]
        proxy = ConnectProxy(site.handlers()).__enter__()
        running.append(proxy)
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        return site, proxy

    yield begin  # type: ignore[misc]
    for proxy in running:
        proxy.__exit__(None, None, None)


def quick(**options: object) -> YoutubeOptions:
    return YoutubeOptions(requests_per_second=0, first_wait=0.01, **options)  # type: ignore[arg-type]


def request(video_id: str, to: Path) -> Request:
    return Request(video_id, f"https://www.youtube.com/watch?v={video_id}", to)


def fetch(video_id: str, to: Path, **options: object) -> Reply:
    with YoutubeSession(quick(**options)) as session:
        return session.fetch(request(video_id, to))


def media(proxy: ConnectProxy) -> list[str]:
    return [r.path for r in proxy.requests if r.host.endswith(".googlevideo.com")]


def cookies_file(path: Path, *, expires: int = 4102444800, mode: int = 0o600) -> Path:
    rows = [("LOGIN_INFO", LOGIN), ("SAPISID", SECRET), ("__Secure-3PAPISID", SECRET + "3")]
    lines = [f".youtube.com\tTRUE\t/\tTRUE\t{expires}\t{name}\t{value}" for name, value in rows]
    path.write_text("# Netscape HTTP Cookie File\n\n" + "\n".join(lines) + "\n")
    path.chmod(mode)
    return path


# --- downloading


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


# --- verdicts

VERDICTS = {
    Fault.UNAVAILABLE: Reason.VIDEO_UNAVAILABLE,
    Fault.REMOVED: Reason.VIDEO_UNAVAILABLE,
    Fault.TERMS: Reason.VIDEO_UNAVAILABLE,
    Fault.COPYRIGHT: Reason.VIDEO_UNAVAILABLE,
    Fault.TERMINATED: Reason.ACCOUNT_TERMINATED,
    Fault.PRIVATE: Reason.VIDEO_PRIVATE,
    Fault.MEMBERS_ONLY: Reason.VIDEO_MEMBERS_ONLY,
    Fault.AGE: Reason.UNAUTHORIZED,
    Fault.GEO: Reason.UNAUTHORIZED,
    Fault.PAID: Reason.UNAUTHORIZED,
    Fault.UPCOMING: Reason.EXTRACTOR_ERROR,
    Fault.LIVE_OVER: Reason.VIDEO_UNAVAILABLE,
    Fault.BOT_CHECK: Reason.BOT_CHECK,
    Fault.RATE_LIMITED: Reason.THROTTLED,
    Fault.ACCOUNT_BLOCKED: Reason.THROTTLED,
    Fault.HTTP_429: Reason.THROTTLED,
}


@pytest.mark.parametrize("trailer", [None, Fault.UNAVAILABLE, Fault.BOT_CHECK])
def test_a_trailer_is_not_taken_for_the_video(
    start: Start, mp4: Path, tmp_path: Path, trailer: Fault | None
) -> None:
    start({GOOD: Fault.PAID, TRAILER: trailer or mp4})
    reply = fetch(GOOD, tmp_path / "v.mp4")
    assert (reply.reason, (tmp_path / "v.mp4").exists()) == (Reason.UNAUTHORIZED, False)


@pytest.mark.parametrize("cookies", [False, True])
def test_every_fault_gets_its_verdict(
    start: Start, mp4: Path, tmp_path: Path, cookies: bool
) -> None:
    catalogue = {f"{fault.value:_<11.11}": fault for fault in Fault}
    _, proxy = start({TRAILER: mp4, **catalogue})
    file = cookies_file(tmp_path / "cookies.txt") if cookies else None
    with YoutubeSession(quick(cookies=file, retries=1)) as session:
        found = {
            fault: session.fetch(request(video_id, tmp_path / f"{video_id}.mp4")).reason
            for video_id, fault in catalogue.items()
        }
    assert found == VERDICTS
    assert list(tmp_path.glob("*.mp4")) == []
    assert proxy.unknown == []


def test_a_video_that_returns_is_downloaded(start: Start, mp4: Path, tmp_path: Path) -> None:
    site, _ = start({GOOD: Fault.PRIVATE})
    with YoutubeSession(quick()) as session:
        assert session.fetch(request(GOOD, tmp_path / "v.mp4")).reason is Reason.VIDEO_PRIVATE
        site.catalogue[GOOD] = mp4
        assert session.fetch(request(GOOD, tmp_path / "v.mp4")).reason is Reason.OK
        site.everything = Fault.BOT_CHECK
        assert session.fetch(request(GOOD, tmp_path / "w.mp4")).reason is Reason.BOT_CHECK


GONE = [
    ("This live stream recording is not available.", Reason.VIDEO_UNAVAILABLE),
    ("This live event has ended.", Reason.VIDEO_UNAVAILABLE),
    ("Video unavailable", Reason.VIDEO_UNAVAILABLE),
    ("Video unavailable.", Reason.VIDEO_UNAVAILABLE),
    ("Video unavailable. This video is not available", Reason.VIDEO_UNAVAILABLE),
    ("This video is not available", Reason.VIDEO_UNAVAILABLE),
    ("This video is unavailable.", Reason.VIDEO_UNAVAILABLE),
    ("Video unavailable. This video isn't available anymore", Reason.VIDEO_UNAVAILABLE),
    ("This video isn’t available anymore", Reason.VIDEO_UNAVAILABLE),
    ("This video does not exist.", Reason.VIDEO_UNAVAILABLE),
    ("Video unavailable. This video has been removed by the uploader", Reason.VIDEO_UNAVAILABLE),
    ("This video has been removed by the user.", Reason.VIDEO_UNAVAILABLE),
    (
        "This video has been removed for violating YouTube's Terms of Service",
        Reason.VIDEO_UNAVAILABLE,
    ),
    (
        "This video has been removed for violating YouTube's policy on hate speech. Learn more",
        Reason.VIDEO_UNAVAILABLE,
    ),
    (
        "Video unavailable. This video is no longer available due to a copyright claim by WMG",
        Reason.VIDEO_UNAVAILABLE,
    ),
    (
        "This video contains content from SME, who has blocked it on copyright grounds",
        Reason.VIDEO_UNAVAILABLE,
    ),
    (
        "Video unavailable. This video is no longer available because the YouTube account"
        " associated with this video has been terminated.",
        Reason.ACCOUNT_TERMINATED,
    ),
    (
        "This video is no longer available because the uploader has closed their YouTube account.",
        Reason.ACCOUNT_TERMINATED,
    ),
    (
        "Private video. Sign in if you've been granted access to this video. Use"
        " --cookies-from-browser or --cookies for the authentication. See https://github.com/x",
        Reason.VIDEO_PRIVATE,
    ),
    ("Video unavailable. This video is private", Reason.VIDEO_PRIVATE),
    (
        "Join this channel to get access to members-only content like this video, and other"
        " exclusive perks.",
        Reason.VIDEO_MEMBERS_ONLY,
    ),
    (
        "This video is available to this channel's members on level: Gold (or any higher level)",
        Reason.VIDEO_MEMBERS_ONLY,
    ),
]
NOT_GONE = [
    ("Sign in to confirm you’re not a bot. Use --cookies-from-browser", Reason.BOT_CHECK),
    ("Sign in to confirm you're not a bot", Reason.BOT_CHECK),
    (
        "Video unavailable. YouTube is requiring a captcha challenge before playback",
        Reason.BOT_CHECK,
    ),
    (
        "Video unavailable. This content isn't available, try again later. The current session has"
        " been rate-limited by YouTube for up to an hour. It is recommended to use `-t sleep`",
        Reason.THROTTLED,
    ),
    ("This content isn’t available, try again later.", Reason.THROTTLED),
    ("Video unavailable. This content isn’t available.", Reason.THROTTLED),
    (
        "All player responses are invalid. Your IP is likely being blocked by Youtube",
        Reason.THROTTLED,
    ),
    ("Unable to download API page: HTTP Error 429: Too Many Requests", Reason.THROTTLED),
    ("Failed to extract any player response; please report this issue on", Reason.THROTTLED),
    (
        "Sign in to confirm your age. This video may be inappropriate for some users.",
        Reason.UNAUTHORIZED,
    ),
    (
        "Video unavailable. The uploader has not made this video available in your country",
        Reason.UNAUTHORIZED,
    ),
    (
        "This video contains content from SME, who has blocked it in your country on copyright"
        " grounds",
        Reason.UNAUTHORIZED,
    ),
    ("This video is only available to Music Premium members", Reason.UNAUTHORIZED),
    ("This video requires payment to watch", Reason.UNAUTHORIZED),
    (
        "Video unavailable. This video is restricted. Please check the Google Workspace"
        " administrator and/or the network administrator restrictions.",
        Reason.UNAUTHORIZED,
    ),
    ("Please sign in", Reason.UNAUTHORIZED),
    (
        "Video unavailable. Playback on other websites has been disabled by the video owner",
        Reason.EXTRACTOR_ERROR,
    ),
    (
        "The following content is not available on this app.. Watch on the latest version of"
        " YouTube.",
        Reason.EXTRACTOR_ERROR,
    ),
    ("This live event will begin in 3 days.", Reason.EXTRACTOR_ERROR),
    ("Premieres in 21 hours", Reason.EXTRACTOR_ERROR),
    ("We're processing this video. Check back later.", Reason.EXTRACTOR_ERROR),
    ("An error occurred. Please try again later. (Playback ID: x)", Reason.EXTRACTOR_ERROR),
    ("This video is DRM protected", Reason.EXTRACTOR_ERROR),
    (
        "Requested format is not available. Use --list-formats for a list of available formats",
        Reason.EXTRACTOR_ERROR,
    ),
    ("No video formats found!; please report this issue on https://x", Reason.EXTRACTOR_ERROR),
    ("Unable to extract uploader id", Reason.EXTRACTOR_ERROR),
    ("Did not get any data blocks", Reason.SHORT_BODY),
    ("content too short (expected 10 bytes and served 5)", Reason.SHORT_BODY),
    ("unable to download video data: HTTP Error 403: Forbidden", Reason.HTTP_ERROR),
    ("Unable to download webpage: HTTP Error 404: Not Found", Reason.HTTP_ERROR),
    ("Unable to download API page: HTTP Error 503: Service Unavailable", Reason.SERVER_ERROR),
    ("Unable to download API page: The read operation timed out", Reason.TIMEOUT),
    (
        "Unable to download webpage: [Errno -3] Temporary failure in name resolution",
        Reason.NETWORK,
    ),
    ("('Connection aborted.', ConnectionResetError(104, 'reset by peer'))", Reason.NETWORK),
    ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", Reason.NETWORK),
    ("", Reason.EXTRACTOR_ERROR),
    (".", Reason.EXTRACTOR_ERROR),
]


@pytest.mark.parametrize(("text", "reason"), GONE)
def test_words_that_mean_gone(text: str, reason: Reason) -> None:
    for message in (text, f"ERROR: [youtube] {GOOD}: {text}", f"\x1b[0;31mERROR:\x1b[0m {text}"):
        assert classify(message) is reason
    assert reason.state is State.GONE


@pytest.mark.parametrize(("text", "reason"), NOT_GONE)
def test_words_that_do_not(text: str, reason: Reason) -> None:
    assert classify(text) is reason
    assert classify(f"ERROR: [youtube] {GOOD}: {text}") is reason
    assert reason.state is not State.GONE


@given(st.text(st.characters(codec="ascii", categories=["Lu", "Ll", "Zs"]), min_size=3))
def test_unknown_words_are_never_gone(text: str) -> None:
    for message in (text, f"Video unavailable. {text}x"):
        assert classify(message).state is not State.GONE


def test_a_throttle_seen_on_the_way_outweighs_the_verdict() -> None:
    warning = "Unable to download webpage: HTTP Error 429: Too Many Requests"
    assert classify("Video unavailable", [warning]) is Reason.THROTTLED


def test_no_answer_at_all_is_explained_by_the_warnings() -> None:
    assert (
        classify("Failed to extract any player response", ["[youtube] x: Read timed out."])
        is Reason.TIMEOUT
    )


@pytest.mark.parametrize("text", ["Private video", "Sign in to confirm you’re not a bot"])
def test_expired_cookies_outweigh_reasons_due_to_the_login(text: str) -> None:
    warning = "The provided YouTube account cookies are no longer valid. They have likely been"
    assert classify(text, [warning]) is Reason.CREDENTIALS_EXPIRED
    assert classify("Video unavailable", [warning]) is Reason.VIDEO_UNAVAILABLE


# --- cookies and secrets


def test_the_users_cookies_file_is_not_changed(start: Start, mp4: Path, tmp_path: Path) -> None:
    _, proxy = start({GOOD: mp4})
    file = cookies_file(tmp_path / "cookies.txt", mode=0o400)
    before = (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_mode)
    assert fetch(GOOD, tmp_path / "v.mp4", cookies=file).reason is Reason.OK
    assert (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_mode) == before
    asked = [r for r in proxy.requests if r.host == "www.youtube.com"]
    assert all(SECRET in r.headers["Cookie"] for r in asked)
    assert not any(SECRET in str(r.headers) for r in proxy.requests if r not in asked)


def test_cookies_that_youtube_ends_are_expired(start: Start, mp4: Path, tmp_path: Path) -> None:
    start({GOOD: Fault.PRIVATE}, logs_out=True)
    file = cookies_file(tmp_path / "cookies.txt")
    reply = fetch(GOOD, tmp_path / "v.mp4", cookies=file)
    assert reply.reason is Reason.CREDENTIALS_EXPIRED


def test_no_secret_in_replies_logs_or_errors(
    start: Start, mp4: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    catalogue = {f"{fault.value:_<11.11}": fault for fault in Fault}
    broken = {"brokenBROKE": Video(mp4, resets=9), "forbiddenFO": Video(mp4, forbidden=9)}
    site, _ = start({GOOD: mp4, **catalogue, **broken}, logs_out=True)
    file = cookies_file(tmp_path / "cookies.txt", mode=0o644)
    with YoutubeSession(quick(cookies=file, retries=1)) as session:
        replies = [
            session.fetch(request(name, tmp_path / f"{name}.mp4")) for name in site.catalogue
        ]
    said = caplog.text + repr(replies)
    assert "yt-dlp: " in caplog.text and "HTTP Error 403" in said
    for secret in (SECRET, LOGIN, site.signature):
        assert secret not in said


def test_media_urls_and_secrets_are_cleaned_away() -> None:
    text = (
        "HTTPSConnectionPool(host='rr3---sn.googlevideo.com', port=443): Max retries exceeded with"
        " url: /videoplayback?expire=1&sig=SIG (Caused by x) for"
        " https://rr3---sn.googlevideo.com/api/manifest/hls/sig/SIG/file?token=SIG and"
        f" https://www.youtube.com/watch?v=SIG with {SECRET}"
    )
    cleaned = clean(text, [SECRET])
    assert "SIG" not in cleaned and SECRET not in cleaned
    assert "Max retries exceeded" in cleaned


def test_a_good_cookies_file_has_no_problem(tmp_path: Path) -> None:
    assert check_cookies(cookies_file(tmp_path / "c")) == []
    (tmp_path / "c").write_text((tmp_path / "c").read_text().replace(".you", "#HttpOnly_.you"))
    assert check_cookies(tmp_path / "c") == []


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ('[{"domain": ".youtube.com"}]', "it is JSON"),
        ("", "it is empty"),
        (".youtube.com\tTRUE\t/\tTRUE\t0\tA\tB\n", "line 1 is not"),
        ("# Netscape HTTP Cookie File\n.youtube.com TRUE / TRUE 0 A B\n", "line 2 has spaces"),
        ("# Netscape HTTP Cookie File\n\n.youtube.com\tTRUE\t/\n", "line 3 has 3 fields"),
        (
            "# Netscape HTTP Cookie File\n.youtube.com\tTRUE\t/\tTRUE\tsoon\tA\tB\n",
            "line 2: the fifth field is not a time",
        ),
        (
            "# Netscape HTTP Cookie File\n.youtube.com\tFALSE\t/\tTRUE\t0\tA\tB\n",
            "line 2: the second field is not TRUE",
        ),
        (
            "# Netscape HTTP Cookie File\n#HttpOnly_a.org\tTRUE\t/\tTRUE\t0\tA\tB\n",
            "line 2: the second field is not FALSE",
        ),
        (b"\xff\xfe\x00\x01", "it is not text"),
        (None, "it cannot be read (No such file"),
    ],
)
def test_an_unusable_cookies_file_says_why_and_blocks(
    tmp_path: Path, content: str | bytes | None, what: str
) -> None:
    file = tmp_path / "cookies.txt"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        file.chmod(0o600)
    (problem,) = check_cookies(file)
    assert problem.what.startswith(what)
    assert problem.reason is Reason.CREDENTIALS_MISSING
    with pytest.raises(Blocked, match="cookies") as caught:
        YoutubeSession(quick(cookies=file))
    assert caught.value.reason is Reason.CREDENTIALS_MISSING
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_cookies_that_only_yt_dlp_refuses_block_and_stay_secret(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    file = cookies_file(tmp_path / "c")
    file.write_text(file.read_text().replace("4102444800\tLOGIN", "9" * 400 + "\tLOGIN"))
    with pytest.raises(Blocked, match="yt-dlp cannot read it") as caught:
        YoutubeSession(quick(cookies=file))
    assert caught.value.reason is Reason.CREDENTIALS_MISSING
    assert capfd.readouterr() == ("", "") and not recwarn.list
    assert LOGIN not in str(caught.value)


def test_an_error_on_closing_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ValueError

    with YoutubeSession(quick()) as session:
        monkeypatch.setattr(session._downloader, "close", broken)


def test_warnings_about_a_usable_cookies_file(tmp_path: Path) -> None:
    (open_to_all,) = check_cookies(cookies_file(tmp_path / "a", mode=0o644))
    assert (open_to_all.what, open_to_all.reason) == ("others can read it", None)
    (expired,) = check_cookies(cookies_file(tmp_path / "b", expires=1600000000))
    assert expired.what == "its login expired on 2020-09-13"
    assert expired.reason is Reason.CREDENTIALS_EXPIRED
    file = cookies_file(tmp_path / "c")
    file.write_text(file.read_text().replace(".youtube.com", ".example.org"))
    assert "no cookie of youtube.com" in check_cookies(file)[0].what
    file.write_text(
        "\n".join(file.read_text().replace("example.org", "youtube.com").split("\n")[:3])
    )
    assert "not logged in" in check_cookies(file)[0].what


ODD_LINES = [
    "example.com\tFALSE\t/\tFALSE\t0\tflag",
    f".youtube.com\tTRUE\t/\tTRUE\t-1\tYSC\t{SECRET}",
    f"example.com\tTRUE\t/\tTRUE\t0\tA\t{SECRET}",
    f".example.com\tFALSE\t/\tTRUE\t0\tA\t{SECRET}",
    f"example.com FALSE / FALSE 0 A {SECRET}",
    f"example.com\tFALSE\t/\tFALSE\tsoon\tA\t{SECRET}",
    "rubbish",
]


@pytest.mark.parametrize("line", ODD_LINES)
@pytest.mark.parametrize("first", [True, False])
def test_one_odd_line_is_skipped_with_a_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], line: str, first: bool
) -> None:
    file = cookies_file(tmp_path / "c")
    head, *rest = file.read_text().strip().split("\n")
    file.write_text("\n".join([head, line, *rest] if first else [head, *rest, line]) + "\n")
    (problem,) = check_cookies(file)
    assert problem.reason is None and "is skipped" in problem.what
    assert f"line {2 if first else len(rest) + 2}" in problem.what
    with YoutubeSession(quick(cookies=file)) as session:
        names = {cookie.name for cookie in session._downloader.cookiejar}
    assert names == {row.split("\t")[5] for row in rest if "\t" in row}
    printed = capfd.readouterr()
    assert SECRET not in printed.out + printed.err + problem.what
