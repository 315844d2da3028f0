"""DROID videos: public objects at Google, whose names are derived from `original_video`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

from saco_data.model.finding import Finding, ok
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sources.base import Context, Source
from saco_data.sources.diagnosis import check_program
from saco_data.storage.names import UnsafeName

# {lab}_{outcome}_{date}_{time}_recordings_MP4_{camera}.mp4. The time itself contains `_` and `:`,
# also doubled, so that the other parts are matched from both ends.
_NAME = re.compile(
    r"(?P<lab>[\w+-]+?)_(?P<outcome>success|failure)_(?P<date>\d{4}-\d\d-\d\d)_"
    r"(?P<time>[\w:+-]+)_recordings_MP4_(?P<camera>[A-Za-z0-9-]+)\.mp4",
    re.ASCII,
)


def object_name(video: str) -> str:
    """The object name of an `original_video` below the root of the raw data. Raises UnsafeName.

    >>> object_name("RAIL_success_2023-07-07_Fri_Jul__7_18:50:36_2023_recordings_MP4_22008760.mp4")
    'RAIL/success/2023-07-07/Fri_Jul__7_18:50:36_2023/recordings/MP4/22008760.mp4'
    """
    match = _NAME.fullmatch(video)
    if match is None:
        raise UnsafeName(f"the name is not of the form that gives its object: {video[:200]!r}")
    return "{lab}/{outcome}/{date}/{time}/recordings/MP4/{camera}.mp4".format(**match.groupdict())


class DroidSource(Source):
    """DROID, over public HTTPS or, for private mirrors, through gsutil."""

    probe_may_be_missing = True
    awkward_name = "18:50:36.probe"

    def diagnose(self) -> Iterator[Finding]:
        yield ok(self.name, "open to everybody")
        if self.config.client == "gsutil":
            yield check_program("gsutil")

    def probe_address(self) -> str | None:
        return self.config.endpoint("https")

    def location(self) -> str:
        """The root of the objects."""
        by_gsutil = self.config.client == "gsutil"
        return self.config.endpoint("gcs" if by_gsutil else "https")

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        """See `Source.fetch`."""
        wanted: dict[str, Asset] = {}
        for asset in assets:
            try:
                path = self.raw_path(asset.key)
                object_name(asset.key)
            except UnsafeName as error:
                yield self.outcome(asset, Reason.UNSAFE_NAME, str(error))
                continue
            if path.is_file():
                yield Arrival(asset, path, "", owned=True, facts=context.known.get(asset.key, {}))
            else:
                wanted[asset.key] = asset
        if not wanted:
            return
        by_gsutil = self.config.client == "gsutil"
        for reply in (self._fetch_by_gsutil if by_gsutil else self._fetch_by_https)(
            wanted, context
        ):
            asset = wanted[reply.key]
            if reply.path is None:
                yield self.outcome(asset, reply.reason, reply.detail, reply.origin)
            else:
                facts = reply.facts if by_gsutil else {**reply.facts, "sha256": reply.sha256}
                yield Arrival(asset, reply.path, reply.origin, owned=True, facts=facts)
            if context.stop.is_set():
                return

    def _fetch_by_https(self, wanted: dict[str, Asset], context: Context) -> Iterator[Any]:
        from saco_data.transports.base import Expect, Request

        requests = (
            Request(
                key,
                f"{self.location()}/{quote(object_name(key))}",
                self.raw_path(key),
                Expect(kind="video"),
            )
            for key in wanted
        )
        with self.open_http() as http:
            yield from http.fetch(requests, context.stop)

    def _fetch_by_gsutil(self, wanted: dict[str, Asset], context: Context) -> Iterator[Any]:
        from saco_data.transports.base import Request
        from saco_data.transports.official.gsutil import Gsutil

        root = self.location()
        requests = (
            Request(key, f"{root}/{object_name(key)}", self.raw_path(key)) for key in wanted
        )
        yield from Gsutil(root).fetch(requests, context.stop)
