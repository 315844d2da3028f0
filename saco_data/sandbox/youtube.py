"""YouTube on loopback: what yt-dlp's real extractor asks for, answered for a catalogue of videos.

    site = YouTube({"dQw4w9WgXcQ": Path("a.mp4"), "aaaaaaaaaaa": Fault.PRIVATE})
    with ConnectProxy(site.handlers()) as proxy: ...

The watch page, the `youtubei/v1/player` call and the media hosts speak the real protocol; the words
of each fault are YouTube's own.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from saco_data.sandbox.proxy import Handler, Request, Reset, Response

_CHUNK = 1 << 16
# What a paid video offers instead of itself.
TRAILER = "trailerTRAI"
_PLAYER = "/s/player/0a1b2c3d/player_ias.vflset/en_US/base.js"


# What the page says around the video: whose it is.
_OWNER = {"owner": {"videoOwnerRenderer": {"title": {"runs": [{"text": "A Channel"}]}}}}
_ROWS = {"results": {"contents": [{"videoSecondaryInfoRenderer": _OWNER}]}}
_ABOUT = {"contents": {"twoColumnWatchNextResults": {"results": _ROWS}}}


class Fault(StrEnum):
    """Why a video, or the whole site, does not play."""

    UNAVAILABLE = "unavailable"
    REMOVED = "removed"
    TERMS = "terms"
    COPYRIGHT = "copyright"
    TERMINATED = "terminated"
    PRIVATE = "private"
    MEMBERS_ONLY = "members_only"
    AGE = "age"
    GEO = "geo"
    UPCOMING = "upcoming"
    PAID = "paid"
    BOT_CHECK = "bot_check"
    RATE_LIMITED = "rate_limited"
    ACCOUNT_BLOCKED = "account_blocked"
    HTTP_429 = "http_429"


@dataclass
class Video:
    """A video that plays. `path` is an mp4; the media hosts misbehave in the next answers.

    `resets`: answers cut in the middle; `forbidden`: answers of 403. Both count down to 0.
    `speed`: bytes a second, 0 for as fast as it goes.
    """

    path: Path
    resets: int = 0
    forbidden: int = 0
    speed: int = 0


# status, reason, subreason of `playabilityStatus`
_WORDS: dict[Fault, tuple[str, str, str]] = {
    Fault.UNAVAILABLE: ("ERROR", "Video unavailable", ""),
    Fault.REMOVED: (
        "ERROR",
        "Video unavailable",
        "This video has been removed by the uploader",
    ),
    Fault.TERMS: (
        "ERROR",
        "This video has been removed for violating YouTube's Terms of Service",
        "",
    ),
    Fault.COPYRIGHT: (
        "ERROR",
        "Video unavailable",
        "This video is no longer available due to a copyright claim by Some Label",
    ),
    Fault.TERMINATED: (
        "ERROR",
        "Video unavailable",
        "This video is no longer available because the YouTube account associated with this video"
        " has been terminated.",
    ),
    Fault.PRIVATE: (
        "LOGIN_REQUIRED",
        "Private video",
        "Sign in if you've been granted access to this video",
    ),
    Fault.MEMBERS_ONLY: (
        "UNPLAYABLE",
        "Join this channel to get access to members-only content like this video, and other"
        " exclusive perks.",
        "",
    ),
    Fault.AGE: (
        "LOGIN_REQUIRED",
        "Sign in to confirm your age",
        "This video may be inappropriate for some users.",
    ),
    Fault.GEO: (
        "UNPLAYABLE",
        "Video unavailable",
        "The uploader has not made this video available in your country",
    ),
    Fault.UPCOMING: ("LIVE_STREAM_OFFLINE", "This live event will begin in 3 days.", ""),
    Fault.PAID: ("UNPLAYABLE", "This video requires payment to watch.", ""),
    Fault.BOT_CHECK: (
        "LOGIN_REQUIRED",
        "Sign in to confirm you’re not a bot",
        "This helps protect our community. Learn more",
    ),
    Fault.RATE_LIMITED: (
        "UNPLAYABLE",
        "Video unavailable",
        "This content isn't available, try again later.",
    ),
    Fault.ACCOUNT_BLOCKED: ("ERROR", "Video unavailable", "This content isn’t available."),
}

# itag: (kind, codecs, width, height, frames a second). All carry the catalogue's one file: what
# differs is the promise, so that a wrong choice of format shows in the requests.
_FORMATS: dict[int, tuple[str, str, int, int, int]] = {
    18: ("video/mp4", "avc1.42001E, mp4a.40.2", 640, 360, 30),
    135: ("video/mp4", "avc1.4d401e", 854, 480, 30),
    136: ("video/mp4", "avc1.4d401f", 1280, 720, 30),
    137: ("video/mp4", "avc1.640028", 1920, 1080, 30),
    298: ("video/mp4", "avc1.4d4020", 1280, 720, 60),
    247: ("video/webm", "vp9", 1280, 720, 30),
    398: ("video/mp4", "av01.0.05M.08", 1280, 720, 30),
    140: ("audio/mp4", "mp4a.40.2", 0, 0, 0),
}


class YouTube:
    """The site. `catalogue` and `everything` (a fault for all videos) may change while it runs.

    `itags` are the formats on offer. With `logs_out`, every answer ends the login of the cookies it
    got, as YouTube does to cookies that were rotated in the browser.
    """

    def __init__(
        self,
        catalogue: Mapping[str, Path | Video | Fault],
        *,
        everything: Fault | None = None,
        itags: tuple[int, ...] = tuple(_FORMATS),
        logs_out: bool = False,
    ) -> None:
        self.catalogue = dict(catalogue)
        self.everything = everything
        self.itags = itags
        self.logs_out = logs_out
        # Stands in every media URL: a search for it shows whether a signed URL leaked.
        self.signature = secrets.token_hex(16)

    def handlers(self) -> dict[str, Handler]:
        """The handlers for `ConnectProxy`."""
        return {
            "*.youtube.com": self._site,
            "*.googlevideo.com": self._media,
        }

    def _entry(self, video_id: str) -> Video | Fault:
        entry = self.everything or self.catalogue.get(video_id, Fault.UNAVAILABLE)
        if isinstance(entry, Path):
            # Kept, so that its faults can be switched on and count down.
            entry = self.catalogue[video_id] = Video(entry)
        return entry

    def _site(self, request: Request) -> Response:
        response = self._answer(request)
        if self.logs_out:
            cookie = "LOGIN_INFO=; Domain=.youtube.com; Path=/; Max-Age=0; Secure"
            return replace(response, headers=[*response.headers, ("Set-Cookie", cookie)])
        return response

    def _answer(self, request: Request) -> Response:
        parts = urlsplit(request.path)
        body = b"".join(request.body)
        if parts.path == _PLAYER:
            return Response(200, [("Content-Type", "text/javascript")], b"var sts={sts:20000};")
        if parts.path == "/iframe_api":
            return Response(200, [("Content-Type", "text/javascript")], _PLAYER.encode())
        if parts.path.startswith("/youtubei/v1/"):
            try:
                video_id = str(json.loads(body)["videoId"])
            except (ValueError, KeyError, TypeError):
                return Response(400)
            if self._entry(video_id) is Fault.HTTP_429:
                return Response(429)
            answer = (
                self._player(video_id) if parts.path.endswith("/player") else {"contents": {"a": 1}}
            )
            return Response(
                200, [("Content-Type", "application/json")], json.dumps(answer).encode()
            )
        video_id = parse_qs(parts.query).get("v", [parts.path.rpartition("/")[2]])[0]
        if self._entry(video_id) is Fault.HTTP_429:
            return Response(429)
        page = self._page(video_id).encode()
        return Response(200, [("Content-Type", "text/html; charset=utf-8")], page)

    def _page(self, video_id: str) -> str:
        config = {
            "PLAYER_JS_URL": _PLAYER,
            "STS": 20000,
            "VISITOR_DATA": "CgtzYW5kYm94",
            "INNERTUBE_CONTEXT": {
                "client": {"clientName": "WEB", "clientVersion": "2.20260101.00.00"}
            },
        }
        # A script must not end inside a string that came from the request.
        player = json.dumps(self._player(video_id)).replace("<", "\\u003c")
        return (
            "<!DOCTYPE html><html><head><title>YouTube</title><script>"
            f"ytcfg.set({json.dumps(config)});var ytInitialPlayerResponse = {player};"
            f"var ytInitialData = {json.dumps(_ABOUT)};</script></head><body></body></html>"
        )

    def _player(self, video_id: str) -> dict[str, Any]:
        entry = self._entry(video_id)
        if isinstance(entry, Fault):
            status, reason, subreason = _WORDS[entry]
            message: dict[str, Any] = {"reason": {"simpleText": reason}}
            if subreason:
                message["subreason"] = {"simpleText": subreason}
            screen: dict[str, Any] = {"playerErrorMessageRenderer": message}
            if entry is Fault.PAID:
                trailer = {"trailerVideoId": TRAILER}
                screen = {"playerLegacyDesktopYpcTrailerRenderer": trailer}
            return {
                "playabilityStatus": {"status": status, "reason": reason, "errorScreen": screen}
            }
        formats = [self._format(video_id, itag, entry.path) for itag in self.itags]
        return {
            "playabilityStatus": {"status": "OK"},
            "videoDetails": {
                "videoId": video_id,
                "title": f"Sandbox {video_id}",
                "lengthSeconds": "1",
                "isLiveContent": False,
            },
            "streamingData": {
                "formats": [item for item in formats if item["itag"] == 18],
                "adaptiveFormats": [item for item in formats if item["itag"] != 18],
            },
        }

    def _format(self, video_id: str, itag: int, path: Path) -> dict[str, Any]:
        kind, codecs, width, height, fps = _FORMATS[itag]
        query = {"id": video_id, "itag": itag, "expire": 4102444800, "sig": self.signature}
        result: dict[str, Any] = {
            "itag": itag,
            "url": f"https://rr1---sn-sandbox.googlevideo.com/videoplayback?{urlencode(query)}",
            "mimeType": f'{kind}; codecs="{codecs}"',
            "bitrate": 1000 * (height or 128),
            "contentLength": str(path.stat().st_size),
            "quality": "hd720" if height >= 720 else "medium",
        }
        if height:
            result |= {"width": width, "height": height, "fps": fps, "qualityLabel": f"{height}p"}
        return result

    def _media(self, request: Request) -> Response:
        query = parse_qs(urlsplit(request.path).query)
        entry = self._entry(query.get("id", [""])[0])
        if query.get("sig") != [self.signature] or isinstance(entry, Fault):
            return Response(403)
        if entry.forbidden > 0:
            entry.forbidden -= 1
            return Response(403)
        size = entry.path.stat().st_size
        start, stop = 0, size
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range") or "")
        headers = [("Content-Type", "video/mp4"), ("Accept-Ranges", "bytes")]
        if wanted:
            start = int(wanted[1])
            stop = min(int(wanted[2]) + 1, size) if wanted[2] else size
            if start >= size:
                return Response(416, [("Content-Range", f"bytes */{size}")])
            headers.append(("Content-Range", f"bytes {start}-{stop - 1}/{size}"))
        headers.append(("Content-Length", str(stop - start)))
        cut = None
        if entry.resets > 0:
            entry.resets -= 1
            cut = (stop - start) // 2
        return Response(206 if wanted else 200, headers, _piece(entry, start, stop, cut))


def _piece(video: Video, start: int, stop: int, cut: int | None) -> Iterator[bytes]:
    with video.path.open("rb") as file:
        file.seek(start)
        left = stop - start if cut is None else cut
        # A tenth of a second's worth at a time where the speed is bounded.
        step = video.speed // 10 or _CHUNK
        while left and (piece := file.read(min(left, step))):
            left -= len(piece)
            yield piece
            if video.speed:
                time.sleep(len(piece) / video.speed)
    if cut is not None:
        raise Reset
