"""The yt1b source with the real yt-dlp against production URLs, answered by the sandbox."""

from __future__ import annotations

import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from saco_data.config import settings as config
from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason, State
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sandbox.proxy import ConnectProxy
from saco_data.sandbox.youtube import Fault, Video, YouTube
from saco_data.sources.base import Context
from saco_data.sources.yt1b import MAX_DENIALS, Yt1bSource
from saco_data.storage.names import UnsafeName

IDS = [f"video_id_0{number}" for number in range(6)]
WATCH = "https://www.youtube.com/watch?v="
SECRET = "g.a000-very-secret-cookie-value"

Start = Callable[..., tuple[YouTube, ConnectProxy]]


def make_video(path: Path, frames: int) -> Path:
    noise = np.random.default_rng(frames)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for _ in range(frames):
            picture = noise.integers(0, 255, (64, 96, 3), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("media") / "a.mp4", 20)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    running: list[ConnectProxy] = []

    def begin(catalogue: dict[str, Path | Video | Fault]) -> tuple[YouTube, ConnectProxy]:
        site = YouTube(catalogue)
        proxy = ConnectProxy(site.handlers()).__enter__()
        running.append(proxy)
        for name, value in proxy.environment.items():
            monkeypatch.setenv(name, value)
        return site, proxy

    yield begin
    for proxy in running:
        proxy.__exit__(None, None, None)


def fetcher(folder: Path, *, rps: float = 0, sleep: float = 0, more: str = "") -> Yt1bSource:
    limits = f"{{requests_per_second: {rps}, sleep_seconds: [{sleep}, {sleep}]}}"
    text = f"limits:\n  yt1b: {limits}\n{more}"
    return Yt1bSource(config.parse(text, folder / "CONFIG_FRAMES.yaml").subset("yt1b"))


def assets(*ids: str) -> list[Asset]:
    return [Asset(video_id, ()) for video_id in ids]


def list_requested(proxy: ConnectProxy) -> list[str]:
    """The ids whose watch page was requested, in order."""
    pages = (r.path.partition("?v=")[2] for r in proxy.requests if r.path.startswith("/watch"))
    return [page.partition("&")[0] for page in pages]


def test_videos_arrive_under_their_official_names(start: Start, mp4: Path, tmp_path: Path) -> None:
    _, proxy = start({IDS[0]: mp4, IDS[1]: Video(mp4, resets=1), IDS[2]: Fault.TERMINATED})
    results = list(fetcher(tmp_path).fetch(assets(*IDS[:3]), Context()))
    first, second, third = results
    assert isinstance(first, Arrival) and isinstance(second, Arrival)
    path = tmp_path / "data/yt1b/downloaded_videos" / f"video_{IDS[0]}.mp4"
    assert (first.raw, first.origin, first.owned) == (path, WATCH + IDS[0], True)
    assert path.read_bytes() == second.raw.read_bytes() == mp4.read_bytes()  # type: ignore[union-attr]
    assert (first.facts["frames"], first.facts["format_id"]) == (20, "136")
    assert isinstance(third, Outcome)
    assert (third.reason, third.state) == (Reason.ACCOUNT_TERMINATED, State.GONE)
    assert "terminated" in third.detail and third.is_asset
    assert proxy.unknown == []


def test_videos_are_fetched_lazily(start: Start, mp4: Path, tmp_path: Path) -> None:
    _, proxy = start(dict.fromkeys(IDS, mp4))
    results = fetcher(tmp_path).fetch(assets(*IDS), Context())
    next(results)
    next(results)
    assert list_requested(proxy) == IDS[:2]
    results.close()  # type: ignore[attr-defined]


def test_a_video_on_disk_needs_no_request(start: Start, mp4: Path, tmp_path: Path) -> None:
    _, proxy = start({IDS[0]: mp4})
    source = fetcher(tmp_path)
    (first,) = source.fetch(assets(IDS[0]), Context())
    proxy.requests.clear()
    known = Context(known={IDS[0]: dict(first.facts)})
    (again,) = fetcher(tmp_path).fetch(assets(IDS[0]), known)
    (stranger,) = fetcher(tmp_path).fetch(assets(IDS[0]), Context())
    assert again == first
    assert {**stranger.facts, "format_id": "136", "uploader": "A Channel"} == first.facts
    assert proxy.requests == []


def test_a_file_on_disk_that_is_not_a_video_is_left_to_processing(
    start: Start, mp4: Path, tmp_path: Path
) -> None:
    _, proxy = start({IDS[0]: mp4})
    source = fetcher(tmp_path)
    path = source.raw_path(IDS[0])
    path.parent.mkdir(parents=True)
    path.write_bytes(b"half a file")
    (arrival,) = source.fetch(assets(IDS[0]), Context())
    assert isinstance(arrival, Arrival) and arrival.raw == path
    assert path.read_bytes() == b"half a file" and proxy.requests == []
    assert source.fetch_beside(IDS[0]) == source.raw_path(IDS[0]) != path
    (other,) = source.fetch(assets(IDS[0]), Context())
    assert isinstance(other, Arrival) and other.raw == source.raw_path(IDS[0])
    assert path.read_bytes() == b"half a file"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.BOT_CHECK, Reason.BOT_CHECK),
        (Fault.RATE_LIMITED, Reason.THROTTLED),
        (Fault.HTTP_429, Reason.THROTTLED),
        (Fault.ACCOUNT_BLOCKED, Reason.THROTTLED),
    ],
)
def test_a_closed_source_stops_at_once_without_counting_attempts(
    start: Start, mp4: Path, tmp_path: Path, fault: Fault, reason: Reason
) -> None:
    site, proxy = start(dict.fromkeys(IDS, mp4))
    seen: list[Arrival | Outcome] = []
    with pytest.raises(Blocked) as caught:
        for result in fetcher(tmp_path).fetch(assets(*IDS), Context()):
            seen.append(result)
            if len(seen) == 2:
                site.everything = fault
    assert caught.value.reason is reason
    assert caught.value.exit_code == 4
    assert "yt1b" in str(caught.value) and caught.value.remedy
    assert [result.state for result in seen if isinstance(result, Outcome)] == []
    assert list_requested(proxy) == IDS[:3]

    site.everything = None
    rest = list(fetcher(tmp_path).fetch(assets(*IDS), Context()))
    assert sum(isinstance(result, Arrival) for result in rest) == len(IDS)


def test_media_refused_one_after_the_other_close_the_source(
    start: Start, mp4: Path, tmp_path: Path
) -> None:
    refused = {each: Video(mp4, forbidden=99) for each in IDS}
    start(refused)
    seen: list[Arrival | Outcome] = []
    with pytest.raises(Blocked, match="in a row were refused") as caught:
        seen.extend(fetcher(tmp_path).fetch(assets(*IDS), Context()))
    assert caught.value.reason is Reason.THROTTLED and "403" in str(caught.value)
    reasons = [each.reason for each in seen if isinstance(each, Outcome)]
    assert reasons == [Reason.HTTP_ERROR] * (MAX_DENIALS - 1)


def test_one_transient_failure_does_not_affect_other_videos(
    start: Start, mp4: Path, tmp_path: Path
) -> None:
    start({IDS[0]: Video(mp4, forbidden=1), IDS[1]: Fault.AGE, IDS[2]: mp4})
    first, second, third = fetcher(tmp_path).fetch(assets(*IDS[:3]), Context())
    assert isinstance(first, Outcome) and first.state is State.FAILED
    assert isinstance(second, Outcome) and second.reason is Reason.UNAUTHORIZED
    assert isinstance(third, Arrival)


@pytest.mark.parametrize(
    "key", ["../../../x1", "short", "a" * 12, "--exec=rm x", "", "video/id_00"]
)
def test_an_unsafe_id_is_named_without_a_request(start: Start, tmp_path: Path, key: str) -> None:
    _, proxy = start({})
    (outcome,) = fetcher(tmp_path).fetch(assets(key), Context())
    assert isinstance(outcome, Outcome) and outcome.reason is Reason.UNSAFE_NAME
    assert proxy.requests == []
    with pytest.raises(UnsafeName):
        fetcher(tmp_path).raw_path(key)


def test_the_server_never_sees_more_than_the_configured_rate(
    start: Start, mp4: Path, tmp_path: Path
) -> None:
    _, proxy = start({IDS[0]: mp4, IDS[1]: Fault.PRIVATE, IDS[2]: Video(mp4, resets=1)})
    list(fetcher(tmp_path, rps=20, sleep=0.4).fetch(assets(*IDS[:3]), Context()))
    times = [request.time for request in proxy.requests]
    assert min(b - a for a, b in pairwise(times)) >= 1 / 20
    begins = [r.time for r in proxy.requests if r.path.startswith("/watch")]
    ends = [times[times.index(begin) - 1] for begin in begins[1:]]
    assert min(b - a for a, b in zip(ends, begins[1:], strict=True)) >= 0.4


def test_manifest_rates_are_polite_when_nothing_is_configured(tmp_path: Path) -> None:
    rates = config.parse("", tmp_path / "c.yaml").subset("yt1b").rates
    # About 300 videos an hour is what a session is allowed.
    assert 3600 / rates.sleep_seconds[0] <= 360
    assert rates.requests_per_second <= 1.5


def test_a_pause_ends_when_the_run_ends(start: Start, mp4: Path, tmp_path: Path) -> None:
    _, proxy = start(dict.fromkeys(IDS, mp4))
    context = Context()
    results = fetcher(tmp_path, sleep=60).fetch(assets(*IDS), context)
    assert isinstance(next(results), Arrival)
    fetched = list_requested(proxy)
    threading.Timer(0.2, context.stop.set).start()
    assert list(results) == []
    assert list_requested(proxy) == fetched, "no video after the pause"


def test_kill_9_at_random_points_leaves_the_undisturbed_bytes(
    start: Start, mp4: Path, tmp_path: Path
) -> None:
    catalogue = {video_id: Video(mp4, speed=150_000) for video_id in IDS[:2]}
    start(dict(catalogue))
    (tmp_path / "CONFIG_FRAMES.yaml").write_text(
        "limits:\n  yt1b: {requests_per_second: 0, sleep_seconds: [0, 0]}\n"
    )
    code = (
        "import sys; from pathlib import Path; from saco_data.config import settings as config\n"
        "from saco_data.model.records import Asset; from saco_data.sources.base import Context\n"
        "from saco_data.sources.yt1b import Yt1bSource\n"
        "source = Yt1bSource(config.load(Path(sys.argv[1])).subset('yt1b'))\n"
        "print('on', flush=True)\n"
        "for _ in source.fetch([Asset(i, ()) for i in sys.argv[2:]], Context()): pass\n"
    )
    file = str(tmp_path / "CONFIG_FRAMES.yaml")
    for _ in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", code, file, *IDS[:2]],
            env=os.environ,
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None and child.stdout.readline() == b"on\n"
        time.sleep(random.uniform(0.3, 1.5))
        child.send_signal(signal.SIGKILL)
        child.communicate()
    for video in catalogue.values():
        video.speed = 0
    results = list(fetcher(tmp_path).fetch(assets(*IDS[:2]), Context()))
    assert all(isinstance(result, Arrival) for result in results)
    folder = tmp_path / "data/yt1b/downloaded_videos"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        f"video_{video_id}.mp4": mp4.read_bytes() for video_id in IDS[:2]
    }


def test_a_changed_video_is_warned_about(
    start: Start, mp4: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start({IDS[0]: make_video(tmp_path / "b.mp4", 10), IDS[1]: mp4})
    before = {"frames": 20, "fps": 30.0, "width": 96, "height": 64, "bytes": 1}
    list(fetcher(tmp_path).fetch(assets(*IDS[:2]), Context(known=dict.fromkeys(IDS, before))))
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert [text for text in warnings if "shifted" in text] == [
        f"{IDS[0]}: frames was 20 when first downloaded, now 10: its frames may have shifted"
    ]


def test_an_unusable_cookies_file_blocks_before_any_request(
    start: Start, mp4: Path, tmp_path: Path
) -> None:
    _, proxy = start({IDS[0]: mp4})
    (tmp_path / "cookies.txt").write_text(f'[{{"name": "SAPISID", "value": "{SECRET}"}}]')
    with pytest.raises(Blocked) as caught:
        list(fetcher(tmp_path, more="cookies_path: cookies.txt\n").fetch(assets(*IDS), Context()))
    assert caught.value.reason is Reason.CREDENTIALS_MISSING
    assert "JSON" in str(caught.value) and SECRET not in str(caught.value)
    assert proxy.requests == []


def test_a_bot_check_with_expired_cookies_asks_for_fresh_cookies(
    start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    start({IDS[0]: Fault.BOT_CHECK})
    row = ".youtube.com\tTRUE\t/\tTRUE\t1600000000\t"
    (tmp_path / "cookies.txt").write_text(
        f"# Netscape HTTP Cookie File\n{row}LOGIN_INFO\t{SECRET}\n{row}SAPISID\t{SECRET}\n"
    )
    source = fetcher(tmp_path, more="cookies_path: cookies.txt\n")
    with pytest.raises(Blocked) as caught:
        list(source.fetch(assets(IDS[0]), Context()))
    assert caught.value.reason is Reason.CREDENTIALS_EXPIRED
    assert "fresh cookies" in caught.value.remedy
    assert SECRET not in caplog.text + str(caught.value)


def test_the_location_is_the_watch_address_and_can_be_configured(tmp_path: Path) -> None:
    assert fetcher(tmp_path).location() == WATCH
    moved = fetcher(tmp_path, more="endpoints: {yt1b_watch: 'https://m.youtube.com/watch?v='}\n")
    assert moved.location() == "https://m.youtube.com/watch?v="


def known(*ids: str) -> Context:
    """A context in which an earlier run fetched these videos."""
    return Context(known={each: {"frames": 20} for each in ids})


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.REMOVED, Fault.LIVE_OVER])
def test_nothing_is_gone_while_a_video_known_good_does_not_play(
    start: Start, mp4: Path, tmp_path: Path, fault: Fault
) -> None:
    site, _ = start(dict.fromkeys(IDS, mp4))
    site.everything = fault
    for wanted in (IDS[:2], IDS):
        with pytest.raises(Blocked, match="calls every video not available") as told:
            list(fetcher(tmp_path).fetch(assets(*wanted), known("good_video0", "good_video1")))
        assert told.value.reason is Reason.THROTTLED


@pytest.mark.parametrize("fault", [Fault.UNAVAILABLE, Fault.REMOVED, Fault.LIVE_OVER])
@pytest.mark.parametrize("witness", ["known good", "this run", "none ever"])
def test_what_is_gone_counts_once_another_video_plays(
    start: Start, mp4: Path, tmp_path: Path, fault: Fault, witness: str
) -> None:
    wanted: dict[str, Path | Video | Fault] = {IDS[0]: fault, IDS[1]: fault}
    others: dict[str, Path | Video | Fault] = {}
    context = known("gone_video0")
    if witness == "known good":
        context, others = known("gone_video0", "good_video0"), {"good_video0": mp4}
    elif witness == "this run":
        wanted[IDS[2]] = mp4
    else:
        context = Context()
    start({**wanted, **others})
    results = list(fetcher(tmp_path).fetch(assets(*wanted), context))
    found = {each.key: each.state for each in results if isinstance(each, Outcome)}
    assert found == {IDS[0]: State.GONE, IDS[1]: State.GONE}
    assert len(results) == len(wanted)


def test_the_same_extractor_error_each_time_closes_the_source(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from yt_dlp.utils import ExtractorError

    from saco_data.transports.youtube.downloader import Downloader

    def broken(self: Downloader, url: str, **_: object) -> None:
        self.params["logger"].warning("No supported JavaScript runtime could be found.")
        raise ExtractorError("Requested format is not available", expected=True)

    start({})
    monkeypatch.setattr(Downloader, "extract_info", broken)
    got: list[Arrival | Outcome] = []
    with pytest.raises(Blocked, match="JavaScript runtime") as told:
        got.extend(fetcher(tmp_path).fetch(assets(*IDS), Context()))
    assert "deno" in told.value.remedy and told.value.exit_code == 4


def test_an_extractor_error_among_videos_that_work_stays_with_its_video(
    start: Start, mp4: Path, tmp_path: Path
) -> None:
    start({IDS[0]: mp4, **dict.fromkeys(IDS[1:], Fault.UPCOMING)})
    results = list(fetcher(tmp_path).fetch(assets(*IDS), Context()))
    assert [isinstance(each, Arrival) for each in results] == [True, *[False] * 5]
