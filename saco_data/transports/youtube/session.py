"""Videos from YouTube through yt-dlp, one polite session at a time. Knows nothing of subsets."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import re
import threading
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yt_dlp
from yt_dlp.utils import ExtractorError, YoutubeDLError

from saco_data.media.decode import FrameError, open_video, sequential
from saco_data.media.frames import probe
from saco_data.model.errors import Blocked, SacoError
from saco_data.model.reasons import Reason
from saco_data.storage.disk_errors import explain_errors
from saco_data.storage.files import publish, sha256_of
from saco_data.transports.base import Stopped
from saco_data.transports.youtube.cookies import check_cookies, cookie_values, read_cookies
from saco_data.transports.youtube.messages import NO_ANSWER, classify, clean

log = logging.getLogger(__name__)

VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")
# Up to 720p at up to 30 frames a second in H.264, video only; else the best muxed one. No ffmpeg.
SELECTOR = "bv[height<=720][fps<=30][ext=mp4][vcodec^=avc1]/b[height<=720][fps<=30][ext=mp4]"
_NOT_RECORDED = ("is_live", "is_upcoming", "post_live")


@dataclass(frozen=True)
class YoutubeOptions:
    """How to ask.

    `watch` is the URL before the video's id. `requests_per_second` bounds all requests, media
    included (0: unbounded). `retries` of a broken transfer wait `first_wait` seconds, then twice as
    long each time, at most a minute.
    """

    watch: str = "https://www.youtube.com/watch?v="
    cookies: Path | None = None
    requests_per_second: float = 1.33
    retries: int = 5
    first_wait: float = 1.0
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class YoutubeReply:
    """What became of one video: OK and its fingerprint, or the reason and YouTube's own words.

    `facts` holds format_id and uploader, as far as they are known, and the fingerprint of the file.
    """

    reason: Reason
    detail: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


class YoutubeSession:
    """One session with YouTube: one set of cookies (in memory only), one pace. A context manager.

    Raises Blocked (CREDENTIALS_MISSING) when the cookies file cannot be used.
    """

    def __init__(self, options: YoutubeOptions) -> None:
        self.options = options
        self._stale = False
        self._log = _Log()
        cookies = self._read_cookies(options.cookies) if options.cookies else None
        self._downloader = _Downloader(self._params(cookies), options)
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
        # What it keeps is in memory: nothing is lost where it stumbles over that.
        with contextlib.suppress(Exception):
            self._downloader.close()

    def fetch(self, video_id: str, to: Path) -> YoutubeReply:
        """Downloads one video to `to`, which appears complete and checked or not at all.

        A broken download is resumed, also by another process. Raises Stopped, DiskFull,
        OutputError; ValueError for an id that is none.
        """
        if not VIDEO_ID.fullmatch(video_id):
            raise ValueError(f"not a YouTube id: {video_id!r}")
        self._log.warnings.clear()
        folder = to.parent / ".partial"
        # Format and size stand in the name: a part is never continued with another version.
        name = f"video_{video_id}.%(format_id)s-%(filesize|0)s.%(ext)s"
        template = str(folder.absolute()).replace("%", "%%") + f"/{name}"
        self._downloader.params["outtmpl"]["default"] = template
        try:
            reply = self._download(video_id, to)
        except (Stopped, SacoError):
            raise
        except YoutubeDLError as error:
            _raise_if_disk(error, to)
            reply = self._failure(error)
        except Exception as error:
            # An answer that the extractor did not foresee must not end the whole run.
            _raise_if_disk(error, to)
            detail = self._clean(f"yt-dlp stumbled: {type(error).__name__}: {error}")
            reply = YoutubeReply(Reason.EXTRACTOR_ERROR, detail)
        finally:
            with contextlib.suppress(OSError):
                folder.rmdir()  # other videos' parts keep it
        return reply

    def _download(self, video_id: str, to: Path) -> YoutubeReply:
        downloader = self._downloader
        # Not processed yet: yt-dlp would follow a pointer to another video, and report on that.
        found = downloader.extract_info(
            self.options.watch + video_id, download=False, process=False
        )
        refusal = _refusal(found, video_id)
        if refusal:
            return refusal
        info = downloader.process_ie_result(found, download=False)
        part = Path(downloader.prepare_filename(info))
        downloader.process_info(info)
        reply = self._check(part, info)
        if reply.reason is Reason.OK:
            publish(part, to)
            for left in part.parent.glob(f"video_{video_id}.*"):
                left.unlink(missing_ok=True)
        return reply

    def _check(self, part: Path, info: dict[str, Any]) -> YoutubeReply:
        if not part.is_file():
            return YoutubeReply(Reason.SHORT_BODY, self._clean("; ".join(self._log.warnings)))
        size, wanted = part.stat().st_size, info.get("filesize")
        if wanted and size != wanted:
            part.unlink()
            return YoutubeReply(Reason.SHORT_BODY, f"{size} bytes came, {wanted} were promised")
        try:
            facts = fingerprint(part)
        except NotVideoError as error:
            part.unlink()
            return YoutubeReply(Reason.CORRUPT_VIDEO, str(error))
        said = {name: str(info[name]) for name in ("format_id", "uploader") if info.get(name)}
        return YoutubeReply(Reason.OK, facts={**said, **facts})

    def _failure(self, error: YoutubeDLError) -> YoutubeReply:
        inner = getattr(error, "exc_info", (None, error))[1]
        message = inner.orig_msg if isinstance(inner, ExtractorError) else str(error)
        reason = classify(str(message), self._log.warnings)
        if reason is Reason.BOT_CHECK and self._stale:
            reason = Reason.CREDENTIALS_EXPIRED
        # "Failed to extract any player response" alone tells nobody why.
        why = [message, *self._log.warnings[-1:]] if NO_ANSWER in str(message) else [message]
        return YoutubeReply(reason, ": ".join(self._clean(str(part)) for part in why))

    def _clean(self, text: str) -> str:
        return clean(text, self._log.secrets)

    def _read_cookies(self, path: Path) -> io.StringIO:
        for problem in check_cookies(path):
            if problem.reason is Reason.CREDENTIALS_MISSING:
                raise _unusable(path, problem.what, problem.remedy)
            self._stale = self._stale or problem.reason is Reason.CREDENTIALS_EXPIRED
            log.warning("cookies file %s: %s. %s", path, problem.what, problem.remedy)
        text = read_cookies(path)
        self._log.secrets.update(cookie_values(text))
        # From memory: yt-dlp writes its cookies back at the end, and the user's file is not ours.
        return io.StringIO(text)

    def _load_cookies(self, path: Path) -> None:
        """Lets yt-dlp read the cookies now; what it says of them may hold their values."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._downloader.cookiejar  # noqa: B018 - read on first use
        except YoutubeDLError:
            remedy = "Export the cookies again, in Netscape format"
            raise _unusable(path, "yt-dlp cannot read it", remedy) from None

    def _params(self, cookies: io.StringIO | None) -> dict[str, Any]:
        waits = {"http": self._wait, "extractor": self._wait, "file_access": self._wait}
        # yt-dlp brings its own authorities; who names some in the environment means those.
        own = "SSL_CERT_FILE" in os.environ or "SSL_CERT_DIR" in os.environ
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
            "compat_opts": {"no-certifi"} if own else set(),
        }

    def _wait(self, n: int) -> float:
        if self.options.stop.wait(min(60.0, self.options.first_wait * 2**n)):
            raise Stopped
        return 0

    def _progress(self, _: dict[str, Any]) -> None:
        if self.options.stop.is_set():
            raise Stopped


class NotVideoError(Exception):
    """A file holds no video that can be decoded."""


def fingerprint(path: Path) -> dict[str, Any]:
    """What tells one version of a video from another: `media.frames.probe`, bytes and sha256.

    Raises NotVideoError where not one frame can be decoded.
    """
    try:
        facts = probe(path)
        with open_video(path) as (container, stream):
            next(sequential(container, stream))
    except (FrameError, StopIteration) as error:
        raise NotVideoError(f"the file does not decode ({error or 'no frame'})") from error
    return {**facts, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


class _Downloader(yt_dlp.YoutubeDL):  # type: ignore[misc]
    """yt-dlp with every request of a session, media included, held to one pace."""

    def __init__(self, params: dict[str, Any], options: YoutubeOptions) -> None:
        self._stop = options.stop
        rate = options.requests_per_second
        self._pause = 1 / rate if rate else 0.0
        self._answered = float("-inf")
        super().__init__(params)

    def urlopen(self, req: Any) -> Any:
        # Counted from the last answer, so that no server sees them closer than this.
        if self._stop.wait(max(0.0, self._answered + self._pause - time.monotonic())):
            raise Stopped
        try:
            return super().urlopen(req)
        finally:
            self._answered = time.monotonic()


class _Log:
    """yt-dlp's own talk, for `logging` at debug; keeps the warnings about the video at hand."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.secrets: set[str] = set()

    def debug(self, message: str) -> None:
        log.debug("yt-dlp: %s", clean(message, self.secrets))

    info = error = debug

    def warning(self, message: str) -> None:
        self.warnings.append(message)
        self.debug(message)


def _refusal(found: dict[str, Any] | None, video_id: str) -> YoutubeReply | None:
    """Why what was found must not be downloaded under this id; None if it may."""
    if not found:
        return YoutubeReply(Reason.EXTRACTOR_ERROR, "YouTube answered with no video")
    if found.get("_type", "video") != "video" or found.get("id") != video_id:
        return YoutubeReply(
            Reason.UNAUTHORIZED, "YouTube offers another video instead, such as a trailer"
        )
    if found.get("live_status") in _NOT_RECORDED:
        return YoutubeReply(Reason.EXTRACTOR_ERROR, "the video is a live event that is not over")
    return None


def _unusable(path: Path, what: str, remedy: str) -> Blocked:
    return Blocked(
        f"the cookies file cannot be used: {what}",
        item=str(path),
        remedy=remedy,
        reason=Reason.CREDENTIALS_MISSING,
    )


def _raise_if_disk(error: Exception, to: Path) -> None:
    """Turns a refusal of our own disk, wrapped by yt-dlp or not, into DiskFull or OutputError."""
    wrapped = getattr(error, "exc_info", (None, None))[1]
    for cause in (error, wrapped, error.__cause__, error.__context__):
        if isinstance(cause, OSError) and cause.errno != errno.ENAMETOOLONG:
            with contextlib.suppress(OSError), explain_errors(to):
                raise cause
