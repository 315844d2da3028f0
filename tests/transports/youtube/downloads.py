"""Requests to the sandbox's YouTube, and a file of cookies, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from saco_data.sandbox.proxy import ConnectProxy
from saco_data.sandbox.youtube import YouTube
from saco_data.transports.base import Reply, Request
from saco_data.transports.youtube.session import YoutubeOptions, YoutubeSession

GOOD = "dQw4w9WgXcQ"
OTHER = "-_other_id-"
SECRET = "g.a000-very-secret-cookie-value"
LOGIN = "AFmmF2swRQIh-login-info-value"

Start = Callable[..., tuple[YouTube, ConnectProxy]]


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
