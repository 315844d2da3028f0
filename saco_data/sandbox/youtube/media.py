"""The media hosts: ranges of a video file, cut or refused on request."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from saco_data.sandbox.proxy import Request, Reset, Response

_CHUNK = 1 << 16


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


def serve(video: Video, request: Request) -> Response:
    """The part of a video that a request asks for."""
    if video.forbidden > 0:
        video.forbidden -= 1
        return Response(403)
    size = video.path.stat().st_size
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
    if video.resets > 0:
        video.resets -= 1
        cut = (stop - start) // 2
    return Response(206 if wanted else 200, headers, _piece(video, start, stop, cut))


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
