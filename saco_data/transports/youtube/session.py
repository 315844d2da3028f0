"""Videos from YouTube through yt-dlp: one session, one set of cookies, one request rate."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import re
import threading
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from yt_dlp.utils import ExtractorError, YoutubeDLError

from saco_data.model.errors import Blocked, SacoError
from saco_data.model.reasons import Reason
from saco_data.storage.disk_errors import explain_errors
from saco_data.storage.files import publish
from saco_data.transports.base import Reply, Request, Stopped
from saco_data.transports.youtube.cookies import (
    check_cookies,
    cookie_values,
    read_cookies,
    without_odd_lines,
)
from saco_data.transports.youtube.downloader import Downloader, Log
from saco_data.transports.youtube.fingerprint import NotVideoError, fingerprint
from saco_data.transports.youtube.messages import NO_ANSWER, causes, classify, clean

log = logging.getLogger(__name__)

VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")
# Up to 720p and 30 frames a second in H.264, video only; else the best with sound. Needs no ffmpeg.
SELECTOR = "bv[height<=720][fps<=30][ext=mp4][vcodec^=avc1]/b[height<=720][fps<=30][ext=mp4]"
_NOT_RECORDED = {
    "is_live": "the video is a live event that is not over",
    "is_upcoming": "the video is a live event that is not over",
    "post_live": "the live event is over, and its recording is not ready yet",
}


@dataclass(frozen=True)
class YoutubeOptions:
    """How to ask.

    `requests_per_second` limits all requests, media included (0: no limit). The `retries` of a
    broken transfer wait `first_wait` seconds, then twice as long each time, at most a minute.
    """

    cookies: Path | None = None
    requests_per_second: float = 1.33
    retries: int = 5
    first_wait: float = 1.0
    stop: threading.Event = field(default_factory=threading.Event)


class YoutubeSession:
    """A session with YouTube, its cookies in memory only; a context manager.

    Raises Blocked (CREDENTIALS_MISSING) when the cookies file cannot be used.
    """

    def __init__(self, options: YoutubeOptions) -> None:
        self.options = options
        self._is_expired = False
        self._log = Log()
        cookies = self._read_cookies(options.cookies) if options.cookies else None
        self._downloader = Downloader(
            self._params(cookies), options.requests_per_second, options.stop
        )
        if options.cookies:
            self._load_cookies(options.cookies)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Its state is in memory only: nothing is lost if saving it fails.
        with contextlib.suppress(Exception):
            self._downloader.close()

    def fetch(self, request: Request) -> Reply:
        """Downloads one video; its file appears complete and checked, or not at all.

        `request.key` is the video's id, `request.url` its page. The reply's `facts` hold
        `format_id` and `uploader`, as far as they are known, and the `fingerprint`; its `detail`
        YouTube's own words. A broken download is resumed, also by another process. Raises Stopped,
        DiskFull, OutputError; ValueError for a malformed id.
        """
        video_id, to = request.key, request.to
        if not VIDEO_ID.fullmatch(video_id):
            raise ValueError(f"not a YouTube id: {video_id!r}")
        self._log.warnings.clear()
        folder = to.parent / ".partial"
        # Format and size are in the name: a part is never continued with another version.
        name = f"video_{video_id}.%(format_id)s-%(filesize|0)s.%(ext)s"
        template = str(folder.absolute()).replace("%", "%%") + f"/{name}"
        self._downloader.params["outtmpl"]["default"] = template
        try:
            return replace(self._download(request), origin=request.url)
        except (Stopped, SacoError):
            raise
        except YoutubeDLError as error:
            _raise_if_disk(error, to)
            reason, detail = self._explain(error)
        except Exception as error:
            # An answer that yt-dlp cannot handle must not end the whole run.
            _raise_if_disk(error, to)
            reason = Reason.EXTRACTOR_ERROR
            detail = self._clean(f"yt-dlp failed: {type(error).__name__}: {error}")
        finally:
            with contextlib.suppress(OSError):
                folder.rmdir()  # not while parts of other videos are in it
        return Reply(video_id, reason, detail, origin=request.url)

    def look(self, video_id: str, url: str) -> Reply:
        """What YouTube says of a video, without downloading it. Raises Stopped."""
        self._log.warnings.clear()
        try:
            found = self._downloader.extract_info(url, download=False, process=False)
        except (Stopped, SacoError):
            raise
        except YoutubeDLError as error:
            return Reply(video_id, *self._explain(error), origin=url)
        except Exception as error:
            detail = self._clean(f"yt-dlp failed: {type(error).__name__}: {error}")
            return Reply(video_id, Reason.EXTRACTOR_ERROR, detail, origin=url)
        return Reply(video_id, *(_refusal(found, video_id) or (Reason.OK, "")), origin=url)

    def _download(self, request: Request) -> Reply:
        downloader, video_id = self._downloader, request.key
        # Not processed yet: yt-dlp would follow a pointer to another video, and download that.
        found = downloader.extract_info(request.url, download=False, process=False)
        if refusal := _refusal(found, video_id):
            return Reply(video_id, *refusal)
        info = downloader.process_ie_result(found, download=False)
        part = Path(downloader.prepare_filename(info))
        try:
            downloader.process_info(info)
        except YoutubeDLError as error:
            if not _is_past_the_end(error):
                raise
            # All of it is there, but it did not get its name: it begins anew.
            part.with_name(f"{part.name}.part").unlink(missing_ok=True)
            downloader.process_info(info)
        reason, detail, facts = self._check(part, info)
        if reason is not Reason.OK:
            return Reply(video_id, reason, detail)
        publish(part, request.to)
        for leftover in part.parent.glob(f"video_{video_id}.*"):
            leftover.unlink(missing_ok=True)
        size, sha256 = facts["bytes"], facts["sha256"]
        return Reply(video_id, reason, "", request.to, size, sha256, facts=facts)

    def _check(self, part: Path, info: dict[str, Any]) -> tuple[Reason, str, dict[str, Any]]:
        """Reason, detail and facts of a download; a wrong one is deleted."""
        if not part.is_file():
            return Reason.SHORT_BODY, self._clean("; ".join(self._log.warnings)), {}
        size, wanted = part.stat().st_size, info.get("filesize")
        if wanted and size != wanted:
            part.unlink()
            return Reason.SHORT_BODY, f"{size} bytes came, {wanted} were promised", {}
        try:
            facts = fingerprint(part)
        except NotVideoError as error:
            part.unlink()
            return Reason.CORRUPT_VIDEO, str(error), {}
        said = {name: str(info[name]) for name in ("format_id", "uploader") if info.get(name)}
        return Reason.OK, "", {**said, **facts}

    def _explain(self, error: YoutubeDLError) -> tuple[Reason, str]:
        """Reason and detail of an error of yt-dlp."""
        inner = getattr(error, "exc_info", (None, error))[1]
        message = inner.orig_msg if isinstance(inner, ExtractorError) else str(error)
        reason = classify(str(message), self._log.warnings)
        if reason is Reason.BOT_CHECK and self._is_expired:
            reason = Reason.CREDENTIALS_EXPIRED
        why = [message]
        if NO_ANSWER in str(message):
            # This message does not say why; the last warning does.
            why += self._log.warnings[-1:]
        elif reason is Reason.EXTRACTOR_ERROR:
            why += causes(self._log.warnings)
        return reason, ": ".join(self._clean(str(part)) for part in why)

    def _clean(self, text: str) -> str:
        return clean(text, self._log.secrets)

    def _read_cookies(self, path: Path) -> io.StringIO:
        for problem in check_cookies(path):
            if problem.reason is Reason.CREDENTIALS_MISSING:
                raise _unusable(path, problem.what, problem.remedy)
            self._is_expired = self._is_expired or problem.reason is Reason.CREDENTIALS_EXPIRED
            log.warning("cookies file %s: %s. %s", path, problem.what, problem.remedy)
        text = read_cookies(path)
        self._log.secrets.update(cookie_values(text))
        # In memory: yt-dlp writes cookies back at its end, and must not write into the user's file.
        return io.StringIO(without_odd_lines(text))

    def _load_cookies(self, path: Path) -> None:
        """Lets yt-dlp read the cookies now, without its messages: these may hold cookie values."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._downloader.cookiejar  # noqa: B018 - read on first use
        except YoutubeDLError:
            remedy = "Export the cookies again, in Netscape format"
            raise _unusable(path, "yt-dlp cannot read it", remedy) from None

    def _params(self, cookies: io.StringIO | None) -> dict[str, Any]:
        waits = {"http": self._wait, "extractor": self._wait, "file_access": self._wait}
        # yt-dlp has certificates of its own; those that the environment names come first.
        named = "SSL_CERT_FILE" in os.environ or "SSL_CERT_DIR" in os.environ
        return {
            "format": SELECTOR,
            "outtmpl": {"default": ""},
            "cookiefile": cookies,
            "logger": self._log,
            "quiet": True,
            "noprogress": True,
            "cachedir": False,
            "noplaylist": True,
            "allowed_extractors": ["youtube"],
            "geo_bypass": False,
            "fixup": "never",
            "socket_timeout": 30,
            "retries": self.options.retries,
            "extractor_retries": self.options.retries,
            "retry_sleep_functions": waits,
            "progress_hooks": [self._progress],
            "compat_opts": {"no-certifi"} if named else set(),
        }

    def _wait(self, n: int) -> float:
        if self.options.stop.wait(min(60.0, self.options.first_wait * 2**n)):
            raise Stopped
        return 0

    def _progress(self, _: dict[str, Any]) -> None:
        if self.options.stop.is_set():
            raise Stopped


def _refusal(found: dict[str, Any] | None, video_id: str) -> tuple[Reason, str] | None:
    """Why the video found must not be downloaded under this id; None if it may."""
    if not found:
        return Reason.EXTRACTOR_ERROR, "YouTube answered with no video"
    if found.get("_type", "video") != "video" or found.get("id") != video_id:
        return Reason.UNAUTHORIZED, "YouTube offers another video instead, such as a trailer"
    if why := _NOT_RECORDED.get(found.get("live_status") or ""):
        return Reason.EXTRACTOR_ERROR, why
    return None


def _unusable(path: Path, what: str, remedy: str) -> Blocked:
    return Blocked(
        f"the cookies file cannot be used: {what}",
        item=str(path),
        remedy=remedy,
        reason=Reason.CREDENTIALS_MISSING,
    )


def _is_past_the_end(error: YoutubeDLError) -> bool:
    """Whether a part was to be resumed behind its last byte (HTTP 416)."""
    cause = (getattr(error, "exc_info", None) or (None, None))[1]
    return getattr(cause, "status", None) == 416


def _raise_if_disk(error: Exception, to: Path) -> None:
    """Raises DiskFull or OutputError if the error is one of our own disk, wrapped or not."""
    wrapped = getattr(error, "exc_info", (None, None))[1]
    for cause in (error, wrapped, error.__cause__, error.__context__):
        if isinstance(cause, OSError) and cause.errno != errno.ENAMETOOLONG:
            with contextlib.suppress(OSError), explain_errors(to):
                raise cause
