"""The site: routes each request to the player, the watch page or the media hosts."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from saco_data.sandbox.proxy import Handler, Request, Response
from saco_data.sandbox.youtube.faults import Fault
from saco_data.sandbox.youtube.media import Video, serve
from saco_data.sandbox.youtube.player import FORMATS, PLAYER_PATH, answer_player, watch_page


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
        itags: tuple[int, ...] = tuple(FORMATS),
        logs_out: bool = False,
    ) -> None:
        self.catalogue = dict(catalogue)
        self.everything = everything
        self.itags = itags
        self.logs_out = logs_out
        # Part of every media URL: a search for it shows whether a signed URL leaked.
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
        if parts.path == PLAYER_PATH:
            return Response(200, [("Content-Type", "text/javascript")], b"var sts={sts:20000};")
        if parts.path == "/iframe_api":
            return Response(200, [("Content-Type", "text/javascript")], PLAYER_PATH.encode())
        if parts.path.startswith("/youtubei/v1/"):
            try:
                video_id = str(json.loads(body)["videoId"])
            except (ValueError, KeyError, TypeError):
                return Response(400)
            if self._entry(video_id) is Fault.HTTP_429:
                return Response(429)
            is_player = parts.path.endswith("/player")
            answer = self._player(video_id) if is_player else {"contents": {"a": 1}}
            return Response(
                200, [("Content-Type", "application/json")], json.dumps(answer).encode()
            )
        video_id = parse_qs(parts.query).get("v", [parts.path.rpartition("/")[2]])[0]
        if self._entry(video_id) is Fault.HTTP_429:
            return Response(429)
        page = watch_page(self._player(video_id)).encode()
        return Response(200, [("Content-Type", "text/html; charset=utf-8")], page)

    def _player(self, video_id: str) -> dict[str, Any]:
        return answer_player(video_id, self._entry(video_id), self.itags, self.signature)

    def _media(self, request: Request) -> Response:
        query = parse_qs(urlsplit(request.path).query)
        entry = self._entry(query.get("id", [""])[0])
        if query.get("sig") != [self.signature] or isinstance(entry, Fault):
            return Response(403)
        return serve(entry, request)
