"""yt-dlp with one request rate, and with a logger that hides secrets."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import yt_dlp

from saco_data.transports.base import Stopped
from saco_data.transports.youtube.messages import clean

log = logging.getLogger(__name__)


class Downloader(yt_dlp.YoutubeDL):  # type: ignore[misc]
    """yt-dlp with at most `rate` requests a second (0: no limit), media included."""

    def __init__(self, params: dict[str, Any], rate: float, stop: threading.Event) -> None:
        self._stop = stop
        self._pause = 1 / rate if rate else 0.0
        self._answered_at = float("-inf")
        super().__init__(params)

    def render_formats_table(self, info_dict: dict[str, Any]) -> None:
        """No table: yt-dlp would draw it eight times a video, for templates that nobody gives."""

    def render_thumbnails_table(self, info_dict: dict[str, Any]) -> None:
        """See `render_formats_table`."""

    def urlopen(self, req: Any) -> Any:
        """The answer to a request, at its time. Raises Stopped when the run is to end."""
        # Counted from the last answer: no server sees two requests closer together than this.
        if self._stop.wait(max(0.0, self._answered_at + self._pause - time.monotonic())):
            raise Stopped
        try:
            return super().urlopen(req)
        finally:
            self._answered_at = time.monotonic()


class Log:
    """Takes yt-dlp's messages: to `logging` at debug level, without secrets.

    `warnings`: those about the current video; `secrets`: texts to hide.
    """

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.secrets: set[str] = set()

    def debug(self, message: str) -> None:
        """Logs a message of any level below a warning."""
        log.debug("yt-dlp: %s", clean(message, self.secrets))

    info = error = debug

    def warning(self, message: str) -> None:
        """Keeps a warning, and logs it."""
        self.warnings.append(message)
        self.debug(message)
