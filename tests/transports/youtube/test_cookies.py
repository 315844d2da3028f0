"""The user's cookies are used, never changed, and no secret is told."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import pytest

from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.sandbox.youtube import Fault, Video
from saco_data.transports.youtube.cookies import check_cookies
from saco_data.transports.youtube.messages import clean
from saco_data.transports.youtube.session import YoutubeSession
from tests.transports.youtube.downloads import (
    GOOD,
    LOGIN,
    SECRET,
    Start,
    cookies_file,
    fetch,
    quick,
    request,
)


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
