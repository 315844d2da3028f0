"""What YouTube's answers and words mean for a video: gone, failed, or blocked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saco_data.model.reasons import Reason, State
from saco_data.sandbox.youtube import TRAILER, Fault
from saco_data.transports.youtube.messages import classify
from saco_data.transports.youtube.session import YoutubeSession
from tests.transports.youtube.downloads import (
    GOOD,
    Start,
    cookies_file,
    fetch,
    quick,
    request,
)

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
