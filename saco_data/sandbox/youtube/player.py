"""The answers about one video: the `youtubei/v1/player` call and the watch page."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from saco_data.sandbox.youtube.faults import Fault, describe
from saco_data.sandbox.youtube.media import Video

PLAYER_PATH = "/s/player/0a1b2c3d/player_ias.vflset/en_US/base.js"

# What the page says around the video: whose it is.
_OWNER = {"owner": {"videoOwnerRenderer": {"title": {"runs": [{"text": "A Channel"}]}}}}
_ROWS = {"results": {"contents": [{"videoSecondaryInfoRenderer": _OWNER}]}}
_ABOUT = {"contents": {"twoColumnWatchNextResults": {"results": _ROWS}}}

# itag: (kind, codecs, width, height, frames a second). All carry the catalogue's one file: what
# differs is the promise, so that a wrong choice of format shows in the requests.
FORMATS: dict[int, tuple[str, str, int, int, int]] = {
    18: ("video/mp4", "avc1.42001E, mp4a.40.2", 640, 360, 30),
    135: ("video/mp4", "avc1.4d401e", 854, 480, 30),
    136: ("video/mp4", "avc1.4d401f", 1280, 720, 30),
    137: ("video/mp4", "avc1.640028", 1920, 1080, 30),
    298: ("video/mp4", "avc1.4d4020", 1280, 720, 60),
    247: ("video/webm", "vp9", 1280, 720, 30),
    398: ("video/mp4", "av01.0.05M.08", 1280, 720, 30),
    140: ("audio/mp4", "mp4a.40.2", 0, 0, 0),
}


def answer_player(
    video_id: str, entry: Video | Fault, itags: Iterable[int], signature: str
) -> dict[str, Any]:
    """The player's JSON: the formats of a video, or why it does not play."""
    if isinstance(entry, Fault):
        return {"playabilityStatus": describe(entry)}
    size = entry.path.stat().st_size
    formats = [_format(video_id, itag, size, signature) for itag in itags]
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


def watch_page(player: dict[str, Any]) -> str:
    """The HTML page of a video, with the player's JSON inside."""
    config = {
        "PLAYER_JS_URL": PLAYER_PATH,
        "STS": 20000,
        "VISITOR_DATA": "CgtzYW5kYm94",
        "INNERTUBE_CONTEXT": {"client": {"clientName": "WEB", "clientVersion": "2.20260101.00.00"}},
    }
    # A script must not end inside a string that came from the request.
    escaped = json.dumps(player).replace("<", "\\u003c")
    return (
        "<!DOCTYPE html><html><head><title>YouTube</title><script>"
        f"ytcfg.set({json.dumps(config)});var ytInitialPlayerResponse = {escaped};"
        f"var ytInitialData = {json.dumps(_ABOUT)};</script></head><body></body></html>"
    )


def _format(video_id: str, itag: int, size: int, signature: str) -> dict[str, Any]:
    kind, codecs, width, height, fps = FORMATS[itag]
    query = {"id": video_id, "itag": itag, "expire": 4102444800, "sig": signature}
    result: dict[str, Any] = {
        "itag": itag,
        "url": f"https://rr1---sn-sandbox.googlevideo.com/videoplayback?{urlencode(query)}",
        "mimeType": f'{kind}; codecs="{codecs}"',
        "bitrate": 1000 * (height or 128),
        "contentLength": str(size),
        "quality": "hd720" if height >= 720 else "medium",
    }
    if height:
        result |= {"width": width, "height": height, "fps": fps, "qualityLabel": f"{height}p"}
    return result
