"""SA-V: members `videos_fps_6/<original_video>` of videos_fps_6.tar, whose link expires."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from saco_data.config.regular import require_regular
from saco_data.config.yaml_text import is_url
from saco_data.model.errors import Blocked
from saco_data.model.outside import one_line
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
    """The link of an archive in a links file: lines with a file name and a link.

    As downloaded, the columns are `file_name` and `cdn_link` with a tab between them. Tools that
    opened the file may have written commas, semicolons, blanks or UTF-16 instead, or have dropped
    the header. Raises Blocked if the file cannot be read or has no such link.
    """
    remedy = "Download the links file again and name it in the config (`sav_links_file`, or "
    remedy += "`links_file` of a collection)"
    try:
        require_regular(path)
        text = _decode(path.read_bytes())
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror or str(error) if isinstance(error, OSError) else "it is not text"
        raise Blocked(
            f"the links file cannot be read ({why})",
            item=str(path),
            remedy=remedy,
            reason=Reason.RAW_MISSING,
        ) from error
    listed: list[str] = []
    for line in text.splitlines():
        for fields in _split(line):
            links = [field for field in fields if is_url(field)]
            names = [field for field in fields if field and not is_url(field)]
            if links and archive in names:
                return links[0]
            if links and names:
                listed.append(names[0])
                break
    raise Blocked(
        f"the links file has no link for {archive}: {_describe(text, listed, archive)}",
        item=str(path),
        remedy=remedy,
        reason=Reason.RAW_MISSING,
    )


def _decode(content: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16")
    return content.decode("utf-8-sig")


def _split(line: str) -> Iterator[list[str]]:
    """The fields of a line, with each separator that it may have."""
    for separator in ("\t", ",", ";"):
        if separator in line:
            try:
                yield [field.strip() for field in next(csv.reader([line], delimiter=separator))]
            except (csv.Error, StopIteration):
                continue
    yield line.split()


def _describe(text: str, listed: list[str], archive: str) -> str:
    """What a links file holds instead of the link."""
    if text.lstrip().startswith("<"):
        return "it is a web page"
    if not listed:
        return "it has no line with a file name, a tab and a link"
    names = ", ".join(one_line(name)[:60] for name in listed[:3])
    families = {"sav": "SA-V", "videos": "SA-V", "sa": "SA-1B"}
    wanted, found = (families.get(name.partition("_")[0]) for name in (archive, listed[0]))
    kind = "" if wanted == found else ", so it is the file of another data set"
    return f"it has those of {names}{' and others' if len(listed) > 3 else ''}{kind}"
