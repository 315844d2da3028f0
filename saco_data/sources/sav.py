"""SA-V: members `videos_fps_6/<original_video>` of videos_fps_6.tar, whose link expires."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from saco_data.config.regular import require_regular
from saco_data.config.yaml_text import is_url
from saco_data.model.errors import Blocked
from saco_data.model.reasons import Reason
from saco_data.model.records import Arrival, Asset, Outcome
from saco_data.sources.archives import ArchiveSource
from saco_data.sources.base import Context


class SavSource(ArchiveSource):
    """Videos at 6 fps from a folder, the tar, a link to it, or the links file as downloaded."""

    def raw(self) -> str | Path | None:
        given, links = self.config.raw, self.config.links_file
        if given or links is None:
            return given
        return find_link(links, str(self.manifest.raw.archive))

    def fetch(self, assets: Sequence[Asset], context: Context) -> Iterator[Arrival | Outcome]:
        try:
            yield from super().fetch(assets, context)
        except Blocked as closed:
            if closed.reason not in (Reason.LINK_EXPIRED, Reason.UNAUTHORIZED):
                raise
            # The links are valid for some days only.
            raise Blocked(
                closed.what,
                item=closed.item,
                remedy=f"Get a fresh links file from {self.manifest.access.page}, name it in "
                "sav_links_file (or put its link into sav_videos_fps_6_download_path), run again",
                reason=Reason.LINK_EXPIRED,
            ) from closed


def find_link(path: Path, archive: str) -> str:
    """The link of an archive in a tab-separated links file (`file_name`, `cdn_link`).

    Raises Blocked if the file cannot be read or has no such link.
    """
    remedy = "Download the links file again and name it in the config (`sav_links_file`, or "
    remedy += "`links_file` of a collection)"
    try:
        require_regular(path)
        with path.open(newline="", encoding="utf-8-sig") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                link = (row.get("cdn_link") or "").strip()
                if (row.get("file_name") or "").strip() == archive and is_url(link):
                    return link
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise Blocked(
            f"the links file cannot be read ({error})",
            item=str(path),
            remedy=remedy,
            reason=Reason.RAW_MISSING,
        ) from error
    raise Blocked(
        f"the links file has no link for {archive}",
        item=str(path),
        remedy=remedy,
        reason=Reason.RAW_MISSING,
    )
