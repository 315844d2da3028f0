"""YT-Temporal-1B: videos from YouTube, one after the other, as `video_<id>.mp4`."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from saco_data.model.errors import Blocked
from saco_data.model.finding import Finding, fail, ok, warn
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sources.base import Context, Source
from saco_data.sources.diagnosis import check_yt_dlp
from saco_data.sources.youtube_witness import Witness
from saco_data.storage.names import UnsafeName

if TYPE_CHECKING:
    from saco_data.transports.base import Reply

log = logging.getLogger(__name__)

_ID = re.compile(r"[A-Za-z0-9_-]{11}")
# Facts that must be equal when a video is fetched again: otherwise its frames may differ.
_SAME = ("fps", "width", "height", "frames")
# So many refused videos (HTTP 403) in a row mean that the source is closed.
MAX_DENIALS = 5


class _Series:
    """Notices that one video after the other fails in the same way, and none works."""

    def __init__(self) -> None:
        self._works = False
        self._denials = 0
        self._errors: list[str] = []

    def judge(self, reply: Reply) -> Reply:
        """The reply, or that the source is closed. Raises Blocked where yt-dlp must be mended."""
        self._works = self._works or reply.reason is Reason.OK
        self._denials = self._denials + 1 if reply.reason is Reason.HTTP_ERROR else 0
        if self._denials == MAX_DENIALS:
            detail = f"{MAX_DENIALS} videos in a row were refused: {reply.detail}"
            return replace(reply, reason=Reason.THROTTLED, detail=detail)
        if reply.reason is not Reason.EXTRACTOR_ERROR:
            self._errors.clear()
            return reply
        error = reply.detail.replace(reply.key, "")
        self._errors = [error] if error not in self._errors else [*self._errors, error]
        if len(self._errors) == MAX_DENIALS and not self._works:
            from saco_data.transports.youtube.messages import remedy_for

            raise Blocked(
                f"yt-dlp failed for {MAX_DENIALS} videos in a row in the same way: {reply.detail}",
                item="yt-dlp",
                remedy=remedy_for(reply.detail),
                reason=Reason.EXTRACTOR_ERROR,
            )
        return reply


_CLOSED = {
    Reason.BOT_CHECK: "YouTube asks to confirm that this is not a bot",
    Reason.THROTTLED: "YouTube asks for fewer requests",
    Reason.CREDENTIALS_EXPIRED: "YouTube no longer accepts the cookies",
}


class Yt1bSource(Source):
    """Videos through yt-dlp, one at a time, with pauses."""

    requests_an_asset = 4  # the page, the player twice, the video
    is_one_by_one = True

    probe_may_be_missing = True

    def probe_address(self) -> str | None:
        watch = urlsplit(self.location())
        return f"{watch.scheme}://{watch.netloc}/robots.txt"

    def diagnose(self) -> Iterator[Finding]:
        yield from self._diagnose_cookies()
        yield from check_yt_dlp()

    def _diagnose_cookies(self) -> Iterator[Finding]:
        from saco_data.transports.youtube.cookies import check_cookies

        given, access = self.config.keys.cookies_path, self.manifest.access
        if not given:
            remedy = f"{access.steps} ({access.page})"
            yield warn(self.name, "no cookies: YouTube may ask for a login", remedy)
            return
        path = self.config.path(given)
        problems = check_cookies(path)
        for problem in problems:
            verdict = fail if problem.reason else warn
            yield verdict(self.name, f"cookies {path}: {problem.what}", problem.remedy)
        if not problems:
            yield ok(self.name, f"cookies of a logged-in session in {path}")

    def raw_path(self, key: str) -> Path:
        if not _ID.fullmatch(key):
            raise UnsafeName(f"not a YouTube id: {key[:80]!r}")
        return super().raw_path(f"video_{key}.mp4")

    def location(self) -> str:
        return self.config.endpoint("watch")

    def missing_requirement(self) -> str:
        from saco_data.transports.youtube.cookies import check_cookies

        given, access = self.config.keys.cookies_path, self.manifest.access
        if not given:
            return f"no cookies, so YouTube may ask for a login. {access.steps} ({access.page})"
        for problem in check_cookies(self.config.path(given)):
            if problem.reason is not None:
                return f"the cookies file cannot be used: {problem.what}. {problem.remedy}"
        return ""

    def modules(self) -> tuple[str, ...]:
        youtube = "saco_data.transports.youtube"
        return (f"{youtube}.fingerprint", f"{youtube}.session")

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        from saco_data.transports.youtube.fingerprint import NotVideoError, fingerprint

        missing: list[tuple[Asset, Path]] = []
        for asset in assets:
            try:
                path = self.raw_path(asset.key)
            except UnsafeName as error:
                yield self.outcome(asset, Reason.UNSAFE_NAME, str(error))
                continue
            if not path.is_file():
                missing.append((asset, path))
                continue
            facts = context.known.get(asset.key, {})
            if facts.get("bytes") != path.stat().st_size:
                try:
                    facts = fingerprint(path)
                except NotVideoError:
                    facts = {}  # processing reports the fault
            yield self._arrival(asset, path, facts)
        if missing:
            yield from self._download(missing, context)

    def _download(
        self, missing: list[tuple[Asset, Path]], context: Context
    ) -> Iterator[Arrival | Outcome]:
        from saco_data.transports.base import Request, Stopped
        from saco_data.transports.youtube.session import YoutubeOptions, YoutubeSession

        rates = self.config.rates
        cookies = self.config.keys.cookies_path
        options = YoutubeOptions(
            cookies=self.config.path(cookies) if cookies else None,
            requests_per_second=rates.requests_per_second,
            stop=context.stop,
        )
        not_before = 0.0
        with YoutubeSession(options) as session:
            series = _Series()
            witness = Witness(session, self.location(), context.known)
            for asset, path in missing:
                if context.stop.wait(max(0.0, not_before - time.monotonic())):
                    return
                try:
                    reply = session.fetch(Request(asset.key, self.location() + asset.key, path))
                    not_before = time.monotonic() + random.uniform(*rates.sleep_seconds)  # noqa: S311
                    reply = series.judge(reply)
                    settled = witness.judge(asset, reply)
                except Stopped:
                    return
                for each, said in settled:
                    if said.reason is not Reason.OK:
                        yield self._fail_or_raise(each, said)
                        continue
                    self._warn_if_changed(each.key, said.facts, context.known.get(each.key, {}))
                    yield self._arrival(each, path, said.facts)
            witness.close()

    def _fail_or_raise(self, asset: Asset, reply: Reply) -> Outcome:
        """The outcome of a video that was not fetched. Raises Blocked if the source is closed."""
        if reply.reason not in _CLOSED:
            return self.outcome(asset, reply.reason, reply.detail, self.location() + asset.key)
        page = self.manifest.access.page
        if reply.reason is Reason.THROTTLED:
            remedy = "Wait an hour, then run again; raise limits.yt1b.sleep_seconds if it returns"
        elif self.config.keys.cookies_path:
            remedy = f"Export fresh cookies to the file in cookies_path (see {page}), run again"
        else:
            remedy = f"Name the cookies of a logged-in session in cookies_path (see {page})"
        raise Blocked(
            f"{_CLOSED[reply.reason]} ({reply.detail})",
            item=self.name,
            remedy=remedy,
            reason=reply.reason,
        )

    def _arrival(self, asset: Asset, path: Path, facts: dict[str, Any]) -> Arrival:
        return Arrival(asset, path, self.location() + asset.key, owned=True, facts=facts)

    def _warn_if_changed(self, key: str, now: dict[str, Any], before: dict[str, Any]) -> None:
        changed = [name for name in _SAME if name in before and before[name] != now[name]]
        for name in changed:
            log.warning(
                "%s: %s was %s when first downloaded, now %s: its frames may have shifted",
                key,
                name,
                before[name],
                now[name],
                extra={"subset": self.name},
            )
